"""``struct completion`` (``kernel/sched/completion.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn

from kmock.kernel.hang import Wait
from kmock.kernel.held import Lock
from kmock.kernel.task import TASK_NORMAL, TASK_RUNNING, TASK_UNINTERRUPTIBLE
from kmock.kernel.time import MAX_SCHEDULE_TIMEOUT

if TYPE_CHECKING:
    from kmock.kernel.held import LockState
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.lock_class import Site
    from kmock.sanitizers.object import Allocation

_ERESTARTSYS = 512
_AT = "kernel/sched/completion.c:101"
UINT_MAX = 0xFFFF_FFFF


class completion(Lock):
    """``init_completion()`` makes it usable, ``DECLARE_COMPLETION(name)`` makes a usable one."""

    __slots__ = ("ON_STACK",)
    C_SIZE: ClassVar[int] = 32
    WORD: ClassVar[str] = "completion"
    UNINITIALISED: ClassVar[str] = "completion-uninit"

    def __init__(self, name: str = "", site: Site | None = None, *, on_stack: bool = False) -> None:
        super().__init__(name, site)
        self.ON_STACK = on_stack

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory that it lies in goes; what lay on the stack may still be known to somebody."""
        super().memory_freed(k, allocation)
        self.of(k).destroyed = allocation is not None and allocation.area == "stack"


def complete(k: Kernel, x: completion) -> None:
    """``complete()``: one waiter goes on, or the next one that comes."""
    mine = _state(k, x)
    if mine.count != UINT_MAX:
        mine.count += 1
    _wake_first(k, mine)


def complete_all(k: Kernel, x: completion) -> None:
    """``complete_all()``: all waiters go on, and all that will come."""
    mine = _state(k, x)
    mine.count = UINT_MAX
    for task in list(mine.waiters):
        k.sched.wake(task, TASK_NORMAL)


def _wake_first(k: Kernel, mine: LockState) -> None:
    for task in mine.waiters:
        if k.sched.wake(task, TASK_NORMAL):
            return


def wait(
    k: Kernel, x: completion, state: int = TASK_UNINTERRUPTIBLE, timeout: int = MAX_SCHEDULE_TIMEOUT, at: str = _AT
) -> int:
    """Wait until it is completed: the jiffies left (at least 1), 0 after the timeout, -ERESTARTSYS after a signal."""
    mine = _state(k, x)
    task = k.current
    k.atomic_sleep.might_sleep(at, "wait-atomic")
    if not mine.count:
        timeout = _sleep(k, x, mine, task, state, timeout)
        if not mine.count:
            return timeout
    if mine.count != UINT_MAX:
        mine.count -= 1
    return timeout or 1


def _sleep(k: Kernel, x: completion, mine: LockState, task: Task, state: int, timeout: int) -> int:
    mine.waiters.append(task)
    try:
        while not mine.count and timeout:
            if task.signal_ends(state):
                return -_ERESTARTSYS
            task.state = state
            timeout = k.sched.schedule_timeout(
                timeout, Wait(f"for completion {k.lockdep.name(x)}", kind="completion-never")
            )
    finally:
        task.state = TASK_RUNNING
        mine.waiters.remove(task)
    return timeout


def try_wait(k: Kernel, x: completion) -> bool:
    """``try_wait_for_completion()``: take one completion if there is one."""
    mine = _state(k, x)
    if not mine.count:
        return False
    if mine.count != UINT_MAX:
        mine.count -= 1
    return True


def _state(k: Kernel, x: completion) -> LockState:
    mine = x.of(k)
    if mine.destroyed or _out_of_scope(k, x):
        _die_of_dead_frame(k, x)
    if not mine.ready:
        _die(k, x)
    if not mine.cls and k.config.lockdep and not k.current.lockdep_off:
        k.lockdep.class_of(x)
    return mine


def _out_of_scope(k: Kernel, x: completion) -> bool:
    at = k.mem.embedded.address(x)
    about = k.mem.owner(at) if at is not None else None
    return about is not None and about.area == "stack" and not about.live


def _die_of_dead_frame(k: Kernel, x: completion) -> NoReturn:
    """The function has returned; what now lies in its frame is taken for a lock, and for a list of waiters."""
    at = k.lockdep.address(x)
    fault = [
        f"BUG: unable to handle page fault for address: {at:016x}",
        "#PF: supervisor write access in kernel mode",
        "#PF: error_code(0x0002) - not-present page",
        f"Oops: 0002 [#{k.oopses + 1}] {k.build}",
    ]
    if k.kasan.on:
        access = f"Read of size 4 at addr {at:016x} by task {k.current!r}"
        fault = ["BUG: KASAN: stack-out-of-bounds in do_raw_spin_lock+0x0/0x0", access, *fault]
    k.die("stack-use-after-return", fault[0], lines=fault[1:], object=k.lockdep.info(x))


def _die(k: Kernel, x: completion) -> NoReturn:
    """The list of waiters in zeroed memory has no head: walking it, the kernel falls over a wild pointer."""
    k.die(
        "completion-uninit",
        "INFO: trying to register non-static key.",
        lines=[
            "The code is fine but needs lockdep annotation, or maybe",
            "you didn't initialize this object before use?",
            "turning off the locking correctness validator.",
            f"general protection fault, maybe for address {k.layout.page_offset:#018x}: 0000 [#{k.oopses + 1}] {k.build}",
        ],
        object=k.lockdep.info(x),
    )
