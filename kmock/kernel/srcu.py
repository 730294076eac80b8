"""Sleepable RCU (``kernel/rcu/srcutree.c``): readers of one ``srcu_struct``, who may sleep, and its grace periods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kmock.kernel import preempt
from kmock.kernel.hang import Wait, deadlock
from kmock.kernel.held import Held, LockState
from kmock.kernel.rcu import Flavour, RcuMap, rcu_head
from kmock.kernel.task import TASK_UNINTERRUPTIBLE
from kmock.kernel.time import next_tick

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel
    from kmock.sanitizers.lockdep import Site

_IN_READER = "Illegal synchronize_srcu() in same-type SRCU (or in RCU) read-side critical section"


class SrcuState(LockState):
    """A sleepable flavour in one kernel."""

    __slots__ = ("graces", "idx")

    def __init__(self, name: str, site: Site | None) -> None:
        super().__init__(ready=bool(name), name=name, site=site)
        self.idx = 0
        """The counter that new readers use."""
        self.graces: list[tuple[list[Held], Callable[[], None]]] = []
        """Readers that a grace period waits for, and what is to happen then, in order."""


class srcu_struct(Flavour):
    """A flavour of one's own; ``init_srcu_struct()`` makes it usable, ``DEFINE_SRCU(name)`` makes a usable one."""

    __slots__ = ()
    WORD: ClassVar[str] = "srcu"
    WAIT: ClassVar[int] = 0

    def fresh(self) -> SrcuState:
        """One that a ``DEFINE_`` macro made is initialised."""
        return SrcuState(self.name, self.site)


def state_of(k: Kernel, ssp: srcu_struct) -> SrcuState:
    """Return the flavour's state in ``k``; reported where nobody initialised it."""
    state = ssp.of(k)
    assert isinstance(state, SrcuState)
    if not state.ready:
        k.lockdep.uninitialised(ssp)
    return state


# -- readers ----------------------------------------------------------------------------------------------


def read_lock(k: Kernel, ssp: srcu_struct) -> int:
    """``srcu_read_lock()``: the index that the unlock wants."""
    state = state_of(k, ssp)
    held = Held(k, ssp, read=True, how="srcu_read_lock")
    held.flags = state.idx
    state.readers.append(held)
    held.task.held.append(held)
    return state.idx


def read_unlock(k: Kernel, ssp: srcu_struct, idx: int) -> None:
    """``srcu_read_unlock()``: end the section that ``idx`` came from."""
    state = state_of(k, ssp)
    mine = [held for held in state.readers if held.task is k.current]
    held = next((held for held in reversed(mine) if held.flags == idx), None)
    if held is None:
        _unbalanced(k, ssp, mine, idx)
        return
    held.let_go(k)
    state.readers.remove(held)
    for waiting, _ in state.graces:
        if held in waiting:
            waiting.remove(held)


def is_held(k: Kernel, ssp: srcu_struct) -> bool:
    """``srcu_read_lock_held()``: whether the task reads under ``ssp``."""
    return any(held.lock is ssp for held in k.current.held)


def dereference(k: Kernel, p: Any, ssp: srcu_struct) -> Any:
    """``srcu_dereference()``: fetch a pointer under ``ssp``."""
    if not is_held(k, ssp):
        k.rcu.outside("srcu_dereference_check")
    k.rcu.pointers.fetch(p)
    return p


def _unbalanced(k: Kernel, ssp: srcu_struct, mine: list[Held], idx: int) -> None:
    why = f"the section was entered with index {mine[-1].flags}" if mine else "the task is in no such section"
    k.warn(
        "rcu-unbalanced",
        "include/linux/srcu.h:189",
        "srcu_read_unlock",
        lines=[f"srcu_read_unlock() of {k.lockdep.name(ssp)} with index {idx}: {why}"],
        key=("srcu-unbalanced", ssp, k.current),
    )


# -- updaters ---------------------------------------------------------------------------------------------


def synchronize(k: Kernel, ssp: srcu_struct) -> None:
    """``synchronize_srcu()``: sleep until the readers of ``ssp`` that there are now are through."""
    task = k.current
    own = [held for held in task.held if held.lock is ssp]
    if own or task.rcu_depth or any(isinstance(held.lock, RcuMap) for held in task.held):
        _in_reader(k, own)
    k.atomic_sleep.might_sleep("kernel/rcu/srcutree.c:1238")
    done: list[bool] = []

    def finished() -> None:
        done.append(True)
        k.sched.wake(task)

    after_grace_period(k, ssp, finished)
    while not done:
        task.state = TASK_UNINTERRUPTIBLE
        k.sched.schedule(Wait(f"for the readers of srcu {k.lockdep.name(ssp)}"))


def _in_reader(k: Kernel, own: list[Held]) -> None:
    key = ("srcu-sync", k.current)
    told = k.report(
        "rcu-sync-in-reader",
        "WARNING: suspicious RCU usage",
        lines=[
            "-----------------------------",
            f"kernel/rcu/srcutree.c:1230 {_IN_READER}!",
            "rcu_scheduler_active = 2, debug_locks = 1",
            *k.lockdep.held_lines(k.current),
        ],
        stacks={"access": k.capture()} | ({"taken": own[-1].stack} if own else {}),
        key=key,
    )
    if own:
        raise deadlock(k, told or k.reports.find(key))


def call(k: Kernel, ssp: srcu_struct, head: rcu_head, func: Callable[[Any], object]) -> None:
    """``call_srcu()``: call ``func(head)``, bottom halves off, after a grace period of ``ssp``."""
    if not k.rcu.enqueue(head, func, "call_srcu"):
        return

    def action() -> None:
        k.rcu.dequeue(head)
        with preempt.softirq(k):
            func(head)

    after_grace_period(k, ssp, action)


def barrier(k: Kernel, ssp: srcu_struct) -> None:
    """``srcu_barrier()``: wait until every pending callback of ``ssp`` was called."""
    if state_of(k, ssp).graces:
        synchronize(k, ssp)


def cleanup(k: Kernel, ssp: srcu_struct) -> None:
    """``cleanup_srcu_struct()``: WARN where somebody reads, or a callback is pending; it is leaked then."""
    state = state_of(k, ssp)
    if state.readers or state.graces:
        at = "kernel/rcu/srcutree.c:600" if state.readers else "kernel/rcu/srcutree.c:608"
        stacks = {"access": k.capture()} | ({"reader": state.readers[0].stack} if state.readers else {})
        k.warn("rcu-free-without-grace", at, "cleanup_srcu_struct", stacks=stacks, key=("srcu-cleanup", ssp))
        return
    state.ready = False


def after_grace_period(k: Kernel, ssp: srcu_struct, action: Callable[[], None]) -> None:
    """Call ``action`` once all that read under ``ssp`` now are through."""
    state = state_of(k, ssp)
    state.idx ^= 1
    state.graces.append((list(state.readers), action))
    _arm(k, state)


def _arm(k: Kernel, state: SrcuState) -> None:
    k.sched.timeouts.arm(next_tick(k.clock.now, 1, k.clock.hz), lambda: _tick(k, state))


def _tick(k: Kernel, state: SrcuState) -> None:
    while state.graces and not state.graces[0][0]:
        state.graces.pop(0)[1]()
    if state.graces:
        _arm(k, state)
