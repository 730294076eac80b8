"""Read-copy-update (``kernel/rcu/``): readers, and grace periods that wait for those there were before.

A grace period is over when every task that was reading when it began has stopped, and every processor that
was atomic then has been out of it once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kmock.kernel import preempt
from kmock.kernel.hang import Wait, deadlock
from kmock.kernel.held import Held, Lock
from kmock.kernel.rcu_pointer import RcuPointers
from kmock.kernel.task import TASK_UNINTERRUPTIBLE, Task
from kmock.kernel.time import next_tick
from kmock.lang.struct import as_ptr
from kmock.sanitizers import debug_objects
from kmock.sanitizers.leftovers import Registration
from kmock.stack import capture, user_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.hw.cpu import Cpu
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

_PLUGIN = "kernel/rcu/tree_plugin.h:431"


class Flavour(Lock):
    """A way of reading that a grace period of its own waits for."""

    __slots__ = ()


class RcuMap(Flavour):
    """What lockdep holds for a flavour of RCU reader that preempt_count alone does not tell."""

    __slots__ = ("flavour",)
    WORD: ClassVar[str] = "rcu"

    def __init__(self, name: str, flavour: str) -> None:
        super().__init__(name)
        self.flavour = flavour


RCU_BH = RcuMap("rcu_read_lock_bh", "RCU-bh")
RCU_SCHED = RcuMap("rcu_read_lock_sched", "RCU-sched")


class rcu_head:
    """``struct rcu_head``."""

    __slots__ = ("__weakref__", "func")
    C_SIZE: ClassVar[int] = 16

    def __init__(self) -> None:
        self.func: Callable[[Any], object] | None = None
        """The callback while one is pending."""

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory that it lies in is being freed."""
        if self.func is not None:
            debug_objects.freed_active(k, allocation, "free-active-object", "rcu_head", self.func, self, ())


class Grace:
    """A grace period: whom it still waits for, and what is to happen then."""

    __slots__ = ("action", "cpus", "tasks")

    def __init__(self, tasks: set[Task], cpus: list[Cpu], action: Callable[[], None]) -> None:
        self.tasks = tasks
        self.cpus = cpus
        self.action = action

    def over(self) -> bool:
        """Whether all that it waited for is through."""
        self.cpus = [cpu for cpu in self.cpus if cpu.preempt_count or cpu.irqs_off]
        return not self.tasks and not self.cpus


class Rcu:
    """The grace periods of one kernel."""

    __slots__ = ("_queued", "graces", "kernel", "pointers")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.pointers = RcuPointers(kernel)
        self._queued: dict[rcu_head, Stack] = {}
        """Where ``call_rcu()`` was called, by callbacks that are pending."""
        self.graces: list[Grace] = []

    @property
    def pending(self) -> bool:
        """Whether a grace period can end without anybody doing anything."""
        return any(grace.over() for grace in self.graces)

    # -- readers ------------------------------------------------------------------------------------

    def read_lock(self) -> None:
        """``rcu_read_lock()``; without CONFIG_PREEMPT it just turns preemption off."""
        k = self.kernel
        if not k.config.preempt:
            preempt.preempt_disable(k)
            return
        preempt.begin_section(k)
        task = k.cpu.task
        if not task.rcu_depth:
            task.disabled_at = capture(3)
        task.rcu_depth += 1

    def read_unlock(self) -> None:
        """``rcu_read_unlock()``."""
        k = self.kernel
        if not k.config.preempt:
            preempt.preempt_enable(k)
            return
        task = k.cpu.task
        if task.rcu_depth <= 0:
            self._unbalanced("rcu_read_lock", "__rcu_read_unlock")
            return
        task.rcu_depth -= 1
        if not task.rcu_depth:
            self.pointers.left(task)
            for grace in self.graces:
                grace.tasks.discard(task)

    def _unbalanced(self, name: str, function: str) -> None:
        k = self.kernel
        k.warn(
            "rcu-unbalanced",
            _PLUGIN,
            function,
            lines=[
                "WARNING: bad unlock balance detected!",
                "-------------------------------------",
                f"{k.current!r} is trying to release lock ({name}) at:",
                f" {k.symbol(k.capture())}",
                "but there are no more locks to release!",
                *k.lockdep.held_lines(k.current),
            ],
            key=("rcu-unbalanced", k.current),
        )

    def enter(self, flavour: RcuMap) -> None:
        """``rcu_read_lock_bh()`` and ``_sched``, behind what they turn off."""
        held = Held(self.kernel, flavour, read=True, how=flavour.name)
        held.task.held.append(held)

    def leave(self, flavour: RcuMap) -> bool:
        """``rcu_read_unlock_bh()`` and ``_sched``; whether there was something to leave."""
        held = next((held for held in reversed(self.kernel.current.held) if held.lock is flavour), None)
        if held is None:
            self._unbalanced(flavour.name, flavour.name.replace("lock", "unlock"))
            return False
        held.let_go(self.kernel)
        return True

    # -- updaters -----------------------------------------------------------------------------------

    def synchronize(self, function: str = "synchronize_rcu", at: int = 3574) -> None:
        """``synchronize_rcu()``: wait for all readers that there are."""
        k = self.kernel
        task = k.current
        flavour = next((held.lock.flavour for held in task.held if isinstance(held.lock, RcuMap)), "")
        if task.rcu_depth or flavour:
            self._in_reader(task, function, at)
        if k.cpu.preempt_count or k.cpu.irqs_off or task.non_block:
            k.atomic_sleep.might_sleep("kernel/sched/completion.c:101", "sleep-in-atomic")
        done: list[bool] = []

        def finished() -> None:
            done.append(True)
            k.sched.wake(task)

        self.after_grace_period(finished, but=k.cpu)
        while not done:
            task.state = TASK_UNINTERRUPTIBLE
            k.sched.schedule(Wait("for an RCU grace period"))

    def _in_reader(self, task: Task, function: str, at: int) -> None:
        """The reader waits for itself: report it, and stop here."""
        k = self.kernel
        key = ("rcu-sync", task)
        sleeping = [*k.atomic_sleep.invalid_context("kernel/sched/completion.c:101")]
        k.report(
            "rcu-sync-in-reader",
            "WARNING: suspicious RCU usage",
            lines=[
                "-----------------------------",
                f"kernel/rcu/tree.c:{at} Illegal {function}() in RCU read-side critical section!",
                "rcu_scheduler_active = 2, debug_locks = 1",
                *k.lockdep.held_lines(task),
                *sleeping,
                "Voluntary context switch within RCU read-side critical section!",
            ],
            stacks={"access": k.capture(), "taken": task.disabled_at},
            key=key,
        )
        raise deadlock(k, k.reports.find(key))

    def call(self, head: rcu_head, func: Callable[[Any], object]) -> None:
        """``call_rcu()``: call ``func(head)`` in softirq context after a grace period."""
        if not self.enqueue(head, func, "call_rcu"):
            return
        k = self.kernel

        def action() -> None:
            self.dequeue(head)
            with preempt.softirq(k):
                func(head)

        self.after_grace_period(action)

    def enqueue(self, head: rcu_head, func: Callable[[Any], object], by: str) -> bool:
        """Have ``head`` pending; False, and reported, if it is already."""
        k = self.kernel
        if head.func is not None:
            function = getattr(func, "__name__", "func")
            k.report(
                "rcu-double-call",
                f"rcu: {by}(): Double-freed CB {k.layout.page_offset:016x}->{function}+0x0/0x0()!!!",
                key=("rcu-head", head),
            )
            return False
        head.func = func
        self._queued[head] = k.capture()
        return True

    def dequeue(self, head: rcu_head) -> None:
        """``head``'s callback is about to be called."""
        head.func = None
        del self._queued[head]

    def registrations(self) -> Iterator[Registration]:
        """The callbacks that are pending."""
        for head, stack in self._queued.items():
            what = f"callback {getattr(head.func, '__name__', 'func')}() of call_rcu()"
            yield Registration(what, stack, "rcu_barrier", "rcu-callback-after-unload")

    def barrier(self) -> None:
        """``rcu_barrier()``: wait until every callback that is pending was called."""
        k = self.kernel
        if not self.graces:
            return
        k.atomic_sleep.might_sleep("kernel/locking/mutex.c:580", "sleep-in-atomic")
        self.synchronize("rcu_barrier")

    def kfree(self, pointer: Any) -> None:
        """``kfree_rcu()``: free the object after a grace period."""
        self.kernel.kfree_rcu.add(as_ptr(pointer))

    def outside(self, check: str) -> None:
        """A pointer under RCU is fetched without what protects it, or under another flavour's protection."""
        k = self.kernel
        other = [held for held in k.current.held if isinstance(held.lock, Flavour)]
        if check.startswith("srcu") and k.current.rcu_depth:
            other_name = "rcu_read_lock"
        else:
            other_name = other[-1].how if other else ""
        stack = k.capture()
        place = user_frames(stack)
        at = place[0].short if place else "rcupdate.h:0"
        k.report(
            "rcu-wrong-flavour" if other_name else "rcu-deref-outside",
            "WARNING: suspicious RCU usage",
            lines=[
                "-----------------------------",
                f"{at} suspicious {check}() usage!",
                *([f"what is held is {other_name}(), of another flavour"] if other_name else []),
                "rcu_scheduler_active = 2, debug_locks = 1",
                *k.lockdep.held_lines(k.current),
            ],
            stacks={"access": stack},
            key=("rcu-deref", at),
        )

    def after_grace_period(self, action: Callable[[], None], but: Cpu | None = None) -> None:
        """Call ``action`` once all readers there are now are through; processor ``but`` is not waited for."""
        k = self.kernel
        tasks = {task for task in (*k.sched.tasks.values(), *(cpu.task for cpu in k.cpus.made)) if task.rcu_depth}
        tasks |= {cpu.own for cpu in k.cpus.made if cpu.own.rcu_depth}
        cpus = [cpu for cpu in k.cpus.made if cpu is not but and (cpu.preempt_count or cpu.irqs_off)]
        self.graces.append(Grace(tasks, cpus, action))
        self._arm()

    def _arm(self) -> None:
        k = self.kernel
        k.sched.timeouts.arm(next_tick(k.clock.now, 1, k.clock.hz), self._tick)

    def _tick(self) -> None:
        """A timer interrupt looks for grace periods that are over; callbacks are called in order."""
        while self.graces and self.graces[0].over():
            self.graces.pop(0).action()
        if self.graces:
            self._arm()
