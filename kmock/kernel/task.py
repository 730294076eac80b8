"""``struct task_struct``: one thread of execution."""

from __future__ import annotations

from signal import SIGKILL
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from kmock.hw.cpu import Cpu
    from kmock.lang.ptr import Ptr
    from kmock.stack import Stack

TASK_RUNNING = 0
TASK_INTERRUPTIBLE = 1
TASK_UNINTERRUPTIBLE = 2
TASK_DEAD = 0x80
TASK_WAKEKILL = 0x100
TASK_NOLOAD = 0x400
TASK_NEW = 0x800
TASK_NORMAL = TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE
TASK_KILLABLE = TASK_WAKEKILL | TASK_UNINTERRUPTIBLE
TASK_IDLE = TASK_UNINTERRUPTIBLE | TASK_NOLOAD

PF_EXITING = 0x4
PF_MEMALLOC = 0x800
PF_KTHREAD = 0x200000
PF_MEMALLOC_NOFS = 0x40000
PF_MEMALLOC_NOIO = 0x80000
PF_MEMALLOC_PIN = 0x10000000


class Task:
    """A task, and what of its processor's state it takes along when it is switched out."""

    __slots__ = (
        "_state",
        "blocked_since",
        "comm",
        "cpu",
        "disabled_at",
        "displaced",
        "exit_code",
        "fail_nth",
        "flags",
        "greenlet",
        "held",
        "kmap",
        "lockdep_off",
        "make_it_fail",
        "migrate_disabled",
        "mm",
        "non_block",
        "pagefault_disabled",
        "pid",
        "pins",
        "rcu_depth",
        "saved",
        "signal",
        "slept_at",
        "spun",
        "stack",
        "thread",
        "wait",
        "woken_early",
    )

    NOT_RUNNING: ClassVar[int] = 1 << 16
    """Part of ``non_block`` while the state is not TASK_RUNNING: blocking would lose the state."""

    def __init__(self, pid: int, comm: str, flags: int = 0) -> None:
        self.pid = pid
        self.comm = comm
        self.flags = flags
        self._state = TASK_RUNNING
        self.rcu_depth = 0
        self.non_block = 0
        """Why the task may not block: depth of ``non_block_start()`` sections, and NOT_RUNNING."""
        self.pagefault_disabled = 0
        self.pins = 0
        """Copies of per-CPU variables that get_cpu_var() and get_cpu_ptr() gave and nobody put yet."""
        self.held: list[Any] = []
        """Locks held, in the order taken."""
        self.kmap: list[Any] = []
        """kmap_local mappings, innermost last."""
        self.saved: tuple[int, bool] = (0, False)
        """preempt_count and irq flag while switched out."""
        self.cpu: Cpu | None = None
        """The processor it was switched out on, or was given when it was made."""
        self.displaced: tuple[Task, int, bool] | None = None
        """Whom it displaced on its processor, with that one's preempt_count and irq flag."""
        self.disabled_at: Stack = ()
        """Where it last became atomic other than by a lock."""
        self.blocked_since = 0
        self.slept_at: Stack = ()
        """Where it blocked or set its state."""
        self.spun = 0
        """Nanoseconds that it has polled while nobody else could run."""
        self.woken_early: Stack = ()
        """Where somebody last tried to wake it while it ran."""
        self.migrate_disabled = 0
        """Depth of ``migrate_disable()``."""
        self.lockdep_off = 0
        """Depth of ``lockdep_off()``."""
        self.signal = 0
        """The signal that waits for the task, 0 for none."""
        self.thread: Any = None
        """What kthread.c knows of it; None for a task that is no kernel thread."""
        self.stack: Ptr | None = None
        self.mm: Any = None
        self.greenlet: Any = None
        self.wait: Any = None
        """What the task sleeps for, as a sentence's end: ``mutex "lock"``."""
        self.exit_code: int | None = None
        self.fail_nth = 0
        self.make_it_fail = False

    @property
    def state(self) -> int:
        """``__state``: TASK_RUNNING, TASK_INTERRUPTIBLE..."""
        return self._state

    @state.setter
    def state(self, state: int) -> None:
        self._state = state
        if state == TASK_RUNNING:
            self.non_block &= ~self.NOT_RUNNING
        else:
            self.non_block |= self.NOT_RUNNING

    def signal_ends(self, state: int) -> bool:
        """``signal_pending_state()``: whether a signal waits that ends a sleep in ``state``."""
        if not self.signal:
            return False
        return bool(state & TASK_INTERRUPTIBLE) or (bool(state & TASK_WAKEKILL) and self.signal == SIGKILL)

    def __repr__(self) -> str:
        return f"{self.comm}/{self.pid}"
