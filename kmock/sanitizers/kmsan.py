"""Bytes that nobody ever wrote, on their way to where they matter (``mm/kmsan/``).

Allocations know which of their bytes were stored to. Copying carries that along; what reaches user space,
a device or a disk unwritten is reported. That a driver loads such bytes itself is reported only on
machines booted with ``uninit_loads``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kmock.lang.struct import Struct
from kmock.sanitizers.describe import object_info, stack_lines

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.slab import KmemCache
    from kmock.report import Report
    from kmock.sanitizers.object import Allocation

Ranges = list[tuple[int, int]]
Part = tuple[tuple[int, int], str]
"""A range of offsets in a struct, and the member there; no name for padding."""


class Sink(NamedTuple):
    """Where bytes go."""

    kind: str
    """Kind of report where no other fits better."""
    name: str
    """What KMSAN calls it."""
    where_to: str


SINKS = {
    "user": Sink("usercopy-uninit", "kernel-infoleak", "Data copied to user address"),
    "mmap": Sink("mmap-uninit-exposed", "kernel-infoleak", "Data mapped at user address"),
    "device": Sink("dma-uninit-to-device", "uninit-value", "Data sent to the device at"),
}


_LEAKS = {"slab": "infoleak-heap", "vmalloc": "infoleak-heap", "page": "page-uninit-exposed"}
"""Kinds of report for what reaches user space, by the area it comes from."""


class Kmsan:
    """Decides whether unwritten bytes go astray, and reports it."""

    __slots__ = ("kernel",)

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def check_leaves(self, p: int, n: int, to: int = 0, sink: str = "user") -> Report | None:
        """The ``n`` bytes at ``p`` leave the kernel for ``sink``: report those that were never written.

        ``to`` is where they go: an address of the process or the device.
        """
        found = self.kernel.mem.unwritten(p, n)
        if found is None:
            return None
        about, holes = found
        goes = SINKS[sink]
        kind = "dma-pool-uninit" if about.area == "dma-pool" else goes.kind
        if sink == "user":
            kind = "infoleak-padding" if all_padding(about, holes) else _LEAKS.get(about.area, kind)
        return self._report(kind, goes, p, n, about, holes, to)

    def check_load(self, address: int, n: int, about: Allocation | None) -> None:
        """The driver loads ``n`` bytes at ``address``: report those that were never written."""
        found = self.kernel.mem.unwritten(address, n)
        if found is not None:
            about, holes = found
            kind = (
                "dma-pool-uninit"
                if about.area == "dma-pool"
                else "slab-stale-read"
                if left_over(self.kernel, about, holes)
                else "slab-uninit-read"
            )
            self._report(kind, Sink("", "uninit-value", ""), address, n, about, holes, 0)
            # The load itself makes nothing of it worse: say it once for each byte.
            for start, end in holes:
                about.mark_written(start, end - start)

    def _report(
        self, kind: str, sink: Sink, p: int, n: int, about: Allocation, holes: Ranges, to: int
    ) -> Report | None:
        k = self.kernel
        stack = k.capture()
        first = int(p) - about.addr
        lines = ["Uninit was created at:", *stack_lines(about.alloc_stack), ""]
        lines += [uninitialized(start - first, end - first, n) for start, end in holes]
        lines.append(f"Memory access of size {n} starts at {int(p):016x}")
        if sink.where_to:
            lines.append(f"{sink.where_to} {int(to):016x}")
        if members := names_of(about, holes):
            lines.append(f"Never written: {', '.join(members)}")
        return k.report(
            kind,
            f"BUG: KMSAN: {sink.name} in {k.symbol(stack)}",
            lines=lines,
            stacks={"access": stack, "allocated": about.alloc_stack},
            object=object_info(k, about, about.addr + holes[0][0]),
            key=(about, "uninit"),
            attributes={"size": n, "holes": [(start - first, end - first) for start, end in holes]},
            taint="B",
        )


def left_over(k: Kernel, about: Allocation, holes: Ranges) -> bool:
    """Whether an earlier owner's bytes are still in ``holes``; SLUB's link, and its poison, are no owner's."""
    cache: KmemCache | None = getattr(about, "cache", None)
    if cache is None or cache.layout.poison:
        return False
    link = range(cache.layout.offset, cache.layout.offset + 8)
    data = k.ram.bytes[about.phys : about.phys + about.size]
    return any(data[at] for start, end in holes for at in range(start, end) if at not in link)


def uninitialized(start: int, end: int, n: int) -> str:
    """KMSAN's line about the bytes ``[start, end)`` of ``n``."""
    if end - start == 1:
        return f"Byte {start} of {n} is uninitialized"
    return f"Bytes {start}-{end - 1} of {n} are uninitialized"


def all_padding(about: Allocation, holes: Ranges) -> bool:
    """Whether all of ``holes`` lie in the padding of the struct that the memory was last seen as."""
    parts, holes = _seen(about, holes)
    padding = [part for part, name in parts if not name]
    return bool(padding) and all(any(a <= start and end <= b for a, b in padding) for start, end in holes)


def names_of(about: Allocation, holes: Ranges) -> list[str]:
    """Name the members, and the padding, that ``holes`` touch; nothing where no struct was seen there."""
    parts, holes = _seen(about, holes)
    touched = [(part, name) for part, name in parts if any(start < part[1] and part[0] < end for start, end in holes)]
    return [name or f"padding at offset {part[0]}" for part, name in touched]


def _seen(about: Allocation, holes: Ranges) -> tuple[list[Part], Ranges]:
    """The members and padding of the struct that the memory was last seen as, and ``holes`` as offsets in it.

    An allocation may be an array of such structs.
    """
    seen: Any = getattr(about, "seen_as", None)
    if seen is None:
        return [], holes
    struct, base = seen
    size = struct.layout(64).size
    return _parts(struct), [((start - base) % size, (start - base) % size + end - start) for start, end in holes]


def _parts(struct: type[Struct]) -> list[Part]:
    layout = struct.layout(64)
    parts: list[Part] = [(hole, "") for hole in layout.holes()]
    for name, offset in layout.offsets.items():
        inner = struct._fields[name].type
        if isinstance(inner, type) and issubclass(inner, Struct):
            size = inner.layout(64).size
            for at in range(offset, offset + layout.sizes[name], size):
                parts += [((at + a, at + b), part and f"{name}.{part}") for (a, b), part in _parts(inner)]
        else:
            parts.append(((offset, offset + layout.sizes[name]), name))
    return sorted(parts)
