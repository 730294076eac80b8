"""Kernel stacks (``kernel/fork.c``, ``CONFIG_VMAP_STACK``): where ``char buf[64];`` inside a function lives.

Every task's stack lies in vmalloc space on pages of its own, with a guard page below. A local variable
lives until the driver's function that made it returns.
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any, Final

from kmock.errors import KernelPanic
from kmock.lang.ptr import Ptr, make_ptr
from kmock.sanitizers.object import UNWRITTEN, Allocation
from kmock.stack import HERE, Stack, capture

if TYPE_CHECKING:
    from types import FrameType

    from kmock.kernel.task import Task
    from kmock.machine import Kernel

REDZONE: Final = 32
_PAGE: Final = 4096
_SUSPENDABLE: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
# Frames of Python's own that are no function in C.
_INLINE: Final = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
_SLOT: Final = 1 << 20


class LocalVariable(Allocation):
    """A variable on a kernel stack."""

    __slots__ = ("frame",)
    area = "stack"
    frame: FrameType | None
    """The running function it belongs to."""

    @property
    def live(self) -> bool:  # type: ignore[override]  # ends by itself when the function returns
        """Whether its function is still running."""
        if self.frame is None:
            return False
        if self.frame.f_code.co_flags & _SUSPENDABLE:
            # A generator, such as a fixture: clearing its frame would end it.
            return True
        try:
            # Only a frame that is done can be cleared.
            self.frame.clear()
        except RuntimeError:
            return True
        self.frame = None
        return False

    @property
    def what(self) -> str:
        """Say whose it is."""
        return f"a local variable on the stack of {self.task!r}"

    @property
    def undo(self) -> str:
        """Returning from the function."""
        return "return"


class TaskStack:
    """One task's stack: a region of addresses, and the owner of its pages."""

    def __init__(self, kernel: Kernel, task: Task, number: int) -> None:
        self.kernel = kernel
        self.task = task
        # THREAD_SIZE: 16 KiB, doubled for KASAN's redzones (arch/x86/include/asm/page_64_types.h).
        self.size = _PAGE << (3 if kernel.config.kasan else 2)
        self.start = kernel.layout.vmalloc_end - (number + 1) * _SLOT
        self.end = self.start + _SLOT
        self.top = self.start + _PAGE + self.size
        self.variables: list[LocalVariable] = []
        page = kernel.page_alloc.alloc_pages(0x800, self.size.bit_length() - 13, call="stack", owner=self)
        assert page is not None
        self.nid = page.zone.nid if page.zone is not None else 0
        self._linear = kernel.layout.page_offset + page.phys
        for i in range(self.size // _PAGE):
            kernel.mmu.map((self.start >> 12) + 1 + i, page.pfn + i)

    def live(self) -> list[Allocation]:
        """No allocation: a stack goes with its task."""
        return []

    def probe(self, address: int) -> Allocation | None:
        """Return the variable at, or next above, ``address``; its redzones count as its own."""
        if not self.start <= address < self.end:
            # Through the direct map.
            address += self.start + _PAGE - self._linear
        around = (v for v in reversed(self.variables) if v.addr - REDZONE <= address < v.end + REDZONE)
        return next(around, None)

    def reap(self) -> None:
        """Take the variables of functions that have returned off the stack."""
        mem = self.kernel.mem
        while self.variables and not self.variables[-1].live:
            gone = self.variables[-1]
            phys = mem.translate(gone.addr)
            if mem.origins and phys is not None:
                mem.forget_origins(phys, gone.size)
            self.variables.pop()

    def push(self, n: int, frame: FrameType, stack: Stack) -> Ptr:
        """Make a variable of ``n`` bytes in the function of ``frame``."""
        self.reap()
        below = self.variables[-1].addr if self.variables else self.top
        addr = (below - REDZONE - n) & -16
        if addr - REDZONE < self.start + _PAGE:
            self._overflow()
        k = self.kernel
        v = LocalVariable()
        v.addr = addr
        v.size = n
        v.phys = -1
        v.written = UNWRITTEN if k.config.initmem else None
        v.frame = frame
        v.alloc_stack = stack
        v.free_stack = None
        v.task = self.task
        v.free_task = None
        v.cpu = k.cpu
        v.time = k.clock.now
        v.seq = k.seq
        v.scan = 0
        self.variables.append(v)
        return make_ptr(addr, v)

    def _overflow(self) -> None:
        """Run into the guard page (``handle_stack_overflow()``, ``arch/x86/kernel/traps.c``)."""
        k = self.kernel
        low, high = self.start + _PAGE, self.top
        k.oopses += 1
        report = k.report(
            "stack-overflow",
            f"BUG: TASK stack guard page was hit at {low - 8:016x} (stack is {low:016x}..{high - 1:016x})",
            lines=[
                f"stack guard page: 0000 [#{k.oopses}] {k.build}",
                "Kernel panic - not syncing: Fatal exception in interrupt",
            ],
            taint="D",
        )
        assert report is not None
        raise KernelPanic(report)


class KernelStacks:
    """The stacks of all tasks that ever put a variable on theirs."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._stacks: dict[int, TaskStack] = {}

    def buffer(self, n: int) -> Ptr:
        """Return ``n`` bytes on the current task's stack, which live until the calling driver function returns."""
        task = self.kernel.current
        stack = self._stacks.get(task.pid)
        if stack is None:
            stack = self._stacks[task.pid] = TaskStack(self.kernel, task, len(self._stacks))
            self.kernel.mem.regions.append(stack)
        frame: Any = sys._getframe(1)
        while frame.f_back is not None and (
            frame.f_code.co_filename.startswith(HERE) or frame.f_code.co_name in _INLINE
        ):
            frame = frame.f_back
        return stack.push(n, frame, capture(2))

    def pages(self, nid: int) -> int:
        """Return how many pages the stacks take on a node, or on all if there is none of that number."""
        nodes = len(self.kernel.config.topology)
        homes = [(stack.size // _PAGE, stack.nid) for stack in self._stacks.values()]
        return sum(n for n, home in homes if nid == home or nid >= nodes)

    def reap(self) -> None:
        """Take the variables of functions that have returned off every stack."""
        for stack in self._stacks.values():
            stack.reap()
