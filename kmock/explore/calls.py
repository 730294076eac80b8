"""Kernel calls as steps: each may be preceded by a switch, and some of them order what comes before and after.

What follows from state that the kernel keeps (locks held, tasks woken, interrupts off) is seen there; this table has the
calls whose order lies in an object: semaphores, completions, atomics, work, timers, interrupt lines, RCU.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from kmock.kernel.atomic import atomic_t
from kmock.kernel.contracts import Contracts
from kmock.kernel.refcount import kref, refcount_t
from kmock.kernel.work import delayed_work
from kmock.lang.ptr import origin_of
from kmock.lang.struct import as_ptr
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.explore.machine import ExploredKernel
    from kmock.linux._api import Contract

READERS = "RCU readers"
UPDATES = "RCU updates"

# Atomic operations that return something are barriers; the others order nothing (Documentation/atomic_t.txt).
_ATOMIC = re.compile(r"atomic(64|_long)?_|refcount_|kref_")
_FULL = re.compile(
    r"_return|_fetch_|fetch_|xchg|_and_test|_unless|_not_zero|_if_|test_and_|kref_put|refcount_dec|_and_lock"
)
_RELAXED = re.compile(r"_relaxed$")
# The same for what happens in memory: one instruction that others can't see half of.
_ONE_STEP = re.compile(r"this_cpu_|(test_and_)?(set|clear|change)_bit|test_bit")
_ORDERED_STEP = re.compile(r"test_and_|clear_bit_unlock|rcu_assign_pointer|\w+_rcu$")

_READ_LOCK = re.compile(r"s?rcu_read_lock(_bh|_sched)?$")
_READ_UNLOCK = re.compile(r"s?rcu_read_unlock(_bh|_sched)?$")

# Calls that publish, and calls that see what was published, by the index of the argument that it happens on.
_RELEASES = {
    "up": 0, "complete": 0, "complete_all": 0,
    "queue_work": 1, "queue_work_on": 2, "queue_delayed_work": 1, "queue_delayed_work_on": 2, "mod_delayed_work": 1,
    "mod_delayed_work_on": 2, "schedule_work": 0, "schedule_work_on": 1, "schedule_delayed_work": 0,
    "schedule_delayed_work_on": 1,
    "mod_timer": 0, "add_timer": 0, "add_timer_on": 0, "timer_reduce": 0, "mod_timer_pending": 0, "hrtimer_start": 0,
    "hrtimer_start_range_ns": 0, "tasklet_schedule": 0, "tasklet_hi_schedule": 0, "irq_work_queue": 0,
    "write_seqcount_end": 0, "raw_write_seqcount_end": 0, "write_sequnlock": 0, "write_sequnlock_irq": 0,
    "write_sequnlock_bh": 0, "write_sequnlock_irqrestore": 0,
    "request_irq": 0, "request_threaded_irq": 0, "enable_irq": 0, "kthread_stop": 0,
}  # fmt: skip
_ACQUIRES = {
    "down": 0, "down_interruptible": 0, "down_killable": 0, "down_timeout": 0, "down_trylock": 0,
    "wait_for_completion": 0, "wait_for_completion_interruptible": 0, "wait_for_completion_killable": 0,
    "wait_for_completion_timeout": 0, "wait_for_completion_interruptible_timeout": 0, "try_wait_for_completion": 0,
    "completion_done": 0,
    "flush_work": 0, "flush_delayed_work": 0, "cancel_work_sync": 0, "cancel_delayed_work_sync": 0,
    "flush_workqueue": 0, "drain_workqueue": 0, "destroy_workqueue": 0,
    "del_timer_sync": 0, "timer_delete_sync": 0, "timer_shutdown_sync": 0, "hrtimer_cancel": 0, "tasklet_kill": 0,
    "tasklet_disable": 0, "irq_work_sync": 0,
    "read_seqbegin": 0, "read_seqcount_begin": 0, "raw_seqcount_begin": 0, "raw_read_seqcount": 0, "read_seqretry": 0,
    "read_seqcount_retry": 0, "write_seqcount_begin": 0, "raw_write_seqcount_begin": 0,
    "free_irq": 0, "disable_irq": 0, "synchronize_irq": 0, "kthread_stop": 0,
}  # fmt: skip
_FREES = {"kfree": 0, "kfree_sensitive": 0, "kzfree": 0, "kvfree": 0, "vfree": 0, "kmem_cache_free": 1}


def key_of(about: Any) -> object:
    """What an object is called as the bearer of an order; an interrupt line and a number of anything else differ."""
    if isinstance(about, delayed_work):
        return about.work
    return ("irq", about) if about.__class__ is int else about


class ExploringContracts(Contracts):
    """Comes by at every kernel call."""

    __slots__ = ()
    kernel: ExploredKernel

    def call(
        self, contract: Contract, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Make the call, as a step."""
        k = self.kernel
        order = k.explorer.order
        name = contract.name
        k.explorer.called(name, sys._getframe(2))
        order.watch(k.current)
        context = order.current
        self._before(name, args)
        flow = k.sched.running
        one_step = _ONE_STEP.match(name) is not None
        ordered = _ORDERED_STEP.match(name) is not None
        flow.calls += 1
        flow.unbroken += one_step
        context.marking += one_step or ordered
        context.releasing += ordered
        try:
            result = self._made(contract, function, args, kwargs)
        finally:
            flow.calls -= 1
            flow.unbroken -= one_step
            context.marking -= one_step or ordered
            context.releasing -= ordered
        self._after(name, args, result)
        return result

    def _made(
        self, contract: Contract, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        k = self.kernel
        cpu = k.cpu
        task = cpu.task
        if k.vetted or cpu.preempt_count or cpu.irqs_off or task.rcu_depth or task.non_block:
            return super().call(contract, function, args, kwargs)
        return function(k, *args, **kwargs)

    def _before(self, name: str, args: tuple[Any, ...]) -> None:
        order = self.kernel.explorer.order
        if _ATOMIC.match(name):
            self._atomic(name, args)
        elif (at := _RELEASES.get(name)) is not None and at < len(args):
            order.release(key_of(args[at]))
        elif (at := _FREES.get(name)) is not None and at < len(args):
            self._frees(args[at])
        elif _READ_UNLOCK.match(name):
            order.release(READERS)
        elif name.startswith(("synchronize_", "call_rcu", "call_srcu", "kfree_rcu", "queue_rcu_work")):
            order.release(UPDATES)
        elif name.startswith(("read_seqretry", "read_seqcount_retry")):
            order.current.retrying = False

    def _after(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        order = self.kernel.explorer.order
        if (at := _ACQUIRES.get(name)) is not None and at < len(args):
            order.acquire(key_of(args[at]))
            order.current.retrying = name.startswith(("read_seq", "raw_")) and "begin" in name and "write" not in name
        elif _READ_LOCK.match(name):
            order.acquire(UPDATES)
        elif name.startswith(("synchronize_", "rcu_barrier", "srcu_barrier")):
            order.acquire(READERS)
        elif name == "rcu_assign_pointer":
            order.release(("rcu", pointer(args[2])))
        elif name.startswith(("rcu_dereference", "srcu_dereference")) and args[0] is not None:
            self.kernel.explorer.loaded(acquire=True)
            order.acquire(("rcu", pointer(args[0])))
        elif name == "rcu_access_pointer":
            self.kernel.explorer.loaded()
        elif name == "kthread_should_stop":
            order.acquire(self.kernel.current)
        order.notice()

    def _atomic(self, name: str, args: tuple[Any, ...]) -> None:
        """Let an atomic operation order what the memory model says: everything if it returns something, or nothing."""
        order = self.kernel.explorer.order
        about = [
            arg.refcount if isinstance(arg, kref) else arg
            for arg in args
            if isinstance(arg, (atomic_t, refcount_t, kref))
        ]
        if not about:
            return
        if name.endswith("_acquire"):
            order.acquire(*about)
        elif name.endswith("_release"):
            order.release(*about)
        elif _FULL.search(name) and not _RELAXED.search(name):
            order.acquire(*about)
            order.release(*about)
        elif name.endswith("_read"):
            order.loaded(about, acquire=False)
        elif order.current.fenced:
            order.carried(about)

    def _frees(self, pointer: Any) -> None:
        owner = origin_of(pointer)
        if owner is not None and owner.live and not self.kernel.explorer.order.alone:
            self.kernel.explorer.races.freed(owner, capture(4, 24))


def pointer(x: Any) -> object:
    """What tells one published pointer from another."""
    try:
        return int(as_ptr(x))
    except TypeError:  # an object of Python's
        return ("object", id(x))
