"""What every checker knows of one allocation, whichever allocator made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from kmock.hw.cpu import Cpu
    from kmock.kernel.task import Task
    from kmock.stack import Stack

TAKEN = "taken"
"""``fate`` of an element of a pool that somebody has taken."""
RESERVED = "reserved"
"""``fate`` of an element that waits in a pool's reserve, where KASAN keeps it closed."""
KEPT = "kept"
"""``fate`` of an element that waits in the reserve of a pool with functions of its own: KASAN knows nothing of it."""

UNWRITTEN = b""
"""``written`` of an allocation that nothing was stored in yet."""

# How kmemleak and the census treat an allocation: bits of its `scan`.
SCAN_NOT_LEAK = 1
"""kmemleak_not_leak(): never reported, and what it points to is referenced."""
SCAN_IGNORE = 2
"""kmemleak_ignore(), SLAB_NOLEAKTRACE: neither reported nor looked into."""
SCAN_NO_SCAN = 4
"""kmemleak_no_scan(): holds no pointers."""
SCAN_HELD = 8
"""Belongs to a kernel object (a pool, a device) that answers for it: not the driver's to free."""


class Allocation:
    """A piece of memory with an owner, from its allocation until long after its release.

    Pointers hold on to it, so a stale pointer always finds the record of what it once stood for.
    """

    __slots__ = (
        "addr",
        "alloc_stack",
        "cpu",
        "fate",
        "free_stack",
        "free_task",
        "live",
        "phys",
        "scan",
        "seen_as",
        "seq",
        "size",
        "task",
        "time",
        "written",
    )

    area: ClassVar[str] = "slab"
    """``slab``, ``page`` or ``vmalloc``: first word of the kinds of report about it."""
    addr: int
    """Virtual address of the first byte."""
    size: int
    """Bytes the caller asked for."""
    live: bool
    phys: int
    """Physical address of the first byte where the bytes lie in the direct map, else -1."""
    written: bytes | bytearray | None
    """Which bytes were ever stored to: None for all, UNWRITTEN for none, else one flag byte each."""
    alloc_stack: Stack
    free_stack: Stack | None
    task: Task
    free_task: Task | None
    cpu: Cpu
    time: int
    """Virtual nanoseconds since boot at the allocation."""
    seq: int
    """Ordinal of the allocation in its kernel."""
    scan: int
    """How kmemleak treats it; see sanitizers/kmemleak.py."""
    fate: str
    """What became of it beside being allocated and freed: krealloc() ``moved`` it or it ``stayed``; ``managed``: its
    device gave it back; an element of a pool is TAKEN, RESERVED or KEPT, and ``returned`` when the pool freed it. Unset
    where there is nothing to say."""
    seen_as: tuple[type, int]
    """The Struct that was last viewed in it, and at which offset; unset until then."""

    @property
    def end(self) -> int:
        """Address behind the last requested byte."""
        return self.addr + self.size

    @property
    def what(self) -> str:
        """A short description: ``object of cache kmalloc-64``."""
        raise NotImplementedError

    @property
    def undo(self) -> str:
        """The call that releases it."""
        raise NotImplementedError

    @property
    def reserved(self) -> bool:
        """Whether it waits in a pool's reserve: nobody may touch it, and it is not free."""
        return not self.live and getattr(self, "fate", "") in {RESERVED, KEPT}

    @property
    def usable(self) -> int:
        """Bytes the allocator set aside, at least ``size``."""
        return self.size

    def mark_written(self, start: int, n: int) -> None:
        """Note that bytes ``[start, start + n)`` hold something now."""
        written = self.written
        if written is None:
            return
        if n >= self.size and start <= 0:
            self.written = None
            return
        if not written:
            written = self.written = bytearray(self.size)
        assert isinstance(written, bytearray)
        stop = min(start + n, self.size)
        written[start:stop] = b"\x01" * (stop - start)

    def unwritten(self, start: int, n: int) -> list[tuple[int, int]]:
        """Return the ranges of ``[start, start + n)`` that nothing was ever stored to."""
        written = self.written
        if written is None:
            return []
        if not written:
            return [(start, start + n)]
        holes: list[tuple[int, int]] = []
        stop = min(start + n, self.size)
        at = written.find(0, start, stop)
        while at >= 0:
            end = written.find(1, at, stop)
            holes.append((at, end if end >= 0 else stop))
            at = written.find(0, end, stop) if end >= 0 else -1
        return holes


class FailedAllocation(Allocation):
    """Stands behind the NULL that a failed allocation returned, so that its use can name the call."""

    __slots__ = ("call",)
    call: str

    def __init__(self, call: str, size: int, stack: Stack) -> None:
        self.call = call
        self.addr = 0
        self.size = size
        self.live = False
        self.phys = -1
        self.alloc_stack = stack
        self.free_stack = None
        self.written = None

    @property
    def what(self) -> str:
        """Say that nothing is there."""
        return f"the NULL that {self.call}() returned"

    @property
    def undo(self) -> str:
        """There is nothing to undo."""
        return ""
