"""Who owns the bytes of a streaming mapping, processor or device (``Documentation/core-api/dma-api.rst``).

Nothing in the kernel looks at it: on x86 a forgotten sync goes unnoticed for years. The rules are those of the document:

- what is mapped ``DMA_FROM_DEVICE`` is the device's until a sync for the processor, and for the driver to read only;
- what is mapped ``DMA_TO_DEVICE`` the driver may change, if a sync for the device follows before the device reads it;
- what is mapped ``DMA_BIDIRECTIONAL`` must be synced both ways; that it was not is told where bytes were lost by it.

Memory mapped with ``DMA_ATTR_SKIP_CPU_SYNC`` is the driver's own business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.dma.watch import watched
from kmock.mm.access import Memory
from kmock.sanitizers.dma_entry import DMA_ATTR_SKIP_CPU_SYNC, DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_TO_DEVICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.sanitizers.dma_entry import Mapping


class Ownership:
    """The streaming mappings of one machine, by the pages they lie in."""

    __slots__ = ("_plain", "debug", "frames", "kernel")

    def __init__(self, kernel: Kernel, debug: Any) -> None:
        self.kernel = kernel
        self.debug = debug
        self.frames: dict[int, list[Mapping]] = {}
        self._plain: tuple[type[Memory], bool] = Memory, True
        """What the machine's memory is while nothing is mapped."""

    # -- mappings come and go ---------------------------------------------------------------------

    def begin(self, m: Mapping) -> None:
        """A mapping begins: accesses to its pages are looked at from now on."""
        mem = self.kernel.mem
        if not self.kernel.config.dma_debug:
            return
        if not self.frames:
            self._plain = type(mem), mem.quick
            mem.__class__ = watched(type(mem))
            mem.quick = False
        for number in _numbers(m):
            self.frames.setdefault(number, []).append(m)
            # Allocators ask `origins` whether a page has anything to forget; this makes it say yes.
            mem.origins.setdefault(number, {})
        self._overlap(m)

    def end(self, m: Mapping) -> None:
        """A mapping ends."""
        if not self.kernel.config.dma_debug:
            return
        for number in _numbers(m):
            mappings = self.frames[number]
            mappings.remove(m)
            if not mappings:
                del self.frames[number]
        if not self.frames:
            mem = self.kernel.mem
            mem.__class__, mem.quick = self._plain

    def _overlap(self, m: Mapping) -> None:
        """Report what dma-debug misses: it compares first cachelines only, and none that the device only reads."""
        for number in _numbers(m):
            for other in self.frames[number]:
                if other is m or other.direction == m.direction == DMA_TO_DEVICE:
                    continue
                if (other.attrs | m.attrs) & DMA_ATTR_SKIP_CPU_SYNC or not _bytes_shared(m, other):
                    continue
                if m.phys >> 6 == other.phys >> 6:
                    if DMA_TO_DEVICE in (m.direction, other.direction):
                        self._overlapping("dma-map-overlap", m, other)
                else:
                    self._overlapping("dma-map-overlap-tail", m, other)

    def _overlapping(self, kind: str, m: Mapping, other: Mapping) -> None:
        self.debug.own(kind, m, [f"the memory is mapped already: {other.what}"], stacks={"mapped before": other.stack})

    def _over(self, phys: int, n: int) -> Iterator[tuple[Mapping, int, int]]:
        """Yield each mapping of ``[phys, phys + n)`` and the range of offsets in it."""
        for number in range(phys >> 12, (phys + n - 1 >> 12) + 1):
            low, high = max(phys, number << 12), min(phys + n, (number + 1) << 12)
            for m in self.frames.get(number, ()):
                for offset, start, size in m.pieces:
                    if start < high and low < start + size:
                        yield m, offset + max(low, start) - start, offset + min(high, start + size) - start

    # -- the driver's calls -----------------------------------------------------------------------

    @staticmethod
    def to_cpu(m: Mapping, start: int, end: int) -> None:
        """The bytes were synced for the processor."""
        m.cpu.add(start, end)
        m.news.discard(start, end)

    @staticmethod
    def to_device(m: Mapping, start: int, end: int) -> None:
        """The bytes were synced for the device."""
        m.cpu.discard(start, end)
        m.dirty.discard(start, end)
        if m.dirty.first() < 0:
            m.strayed = False

    def unmapped(self, m: Mapping) -> None:
        """The mapping ends: what the processor wrote while the device owned it was never made good."""
        if m.strayed and m.direction == DMA_TO_DEVICE:
            self._device_owned(m)

    # -- the processor ----------------------------------------------------------------------------

    def accessed(self, phys: int, n: int, *, write: bool) -> None:
        """The processor is about to access ``[phys, phys + n)``."""
        for m, start, end in list(self._over(phys, n)):
            if m.attrs & DMA_ATTR_SKIP_CPU_SYNC:
                continue
            if write:
                self._wrote(m, start, end)
            else:
                self._reads(m, start, end)

    def _reads(self, m: Mapping, start: int, end: int) -> None:
        news = m.news.any(start, end)
        if m.direction == DMA_FROM_DEVICE:
            if news or not m.cpu.all(start, end):
                self._missing_cpu(m, start, end, news=news)
        elif m.direction == DMA_BIDIRECTIONAL and news and (m.cached or m.bounce >= 0):
            self._missing_cpu(m, start, end, news=True)

    def _missing_cpu(self, m: Mapping, start: int, end: int, *, news: bool) -> None:
        why = "the device wrote them, and no sync for the processor followed" if news else "they are the device's"
        lines = [f"the processor reads bytes {start} to {end - 1} of the mapping: {why}"]
        self.debug.own("dma-sync-missing-cpu", m, lines, key=(m, "ownership"))

    def _wrote(self, m: Mapping, start: int, end: int) -> None:
        m.dirty.add(start, end)
        m.dirty_stack = self.kernel.capture()
        if m.direction == DMA_BIDIRECTIONAL or m.cpu.all(start, end):
            return
        m.strayed = True
        # A sync for the device may yet follow, where the device only reads.
        if m.direction == DMA_FROM_DEVICE or self.kernel.reports.awaited("dma-cpu-access-device-owned"):
            self._device_owned(m)

    def _device_owned(self, m: Mapping) -> None:
        m.strayed = False
        lines = ["the processor writes to a buffer while the device owns it"]
        self.debug.own("dma-cpu-access-device-owned", m, lines, key=(m, "ownership"), stacks={"access": m.dirty_stack})

    def lost(self, m: Mapping, start: int, end: int) -> None:
        """Stale lines are dropped, and with them what the processor wrote there and no sync wrote back."""
        if m.dirty.any(start, end):
            lines = ["what the processor wrote was never synced for the device; syncing for the processor drops it"]
            stacks = {"access": m.dirty_stack, "synced": self.kernel.capture()}
            self.debug.own("write-lost-not-synced", m, lines, key=(m, "ownership"), stacks=stacks)
        m.dirty.discard(start, end)

    # -- the device -------------------------------------------------------------------------------

    def device_accessed(self, m: Mapping, start: int, end: int, *, write: bool) -> None:
        """The device accesses bytes of its mapping."""
        if not m.attrs & DMA_ATTR_SKIP_CPU_SYNC and m.dirty.any(start, end):
            if m.direction != DMA_BIDIRECTIONAL or m.cached or m.bounce >= 0:
                self._missing_device(m, start, end, write=write)
            m.dirty.discard(start, end)
        if write:
            m.news.add(start, end)

    def _missing_device(self, m: Mapping, start: int, end: int, *, write: bool) -> None:
        m.strayed = False
        does = "writes to" if write else "reads"
        lines = [f"the device {does} bytes {start} to {end - 1}: the processor wrote there, and no sync followed"]
        stacks = {"access": m.dirty_stack, "device": self.kernel.capture()}
        self.debug.own("dma-sync-missing-device", m, lines, key=(m, "ownership"), stacks=stacks)

    # -- the memory -------------------------------------------------------------------------------

    def freed(self, phys: int, n: int) -> None:
        """The memory ``[phys, phys + n)`` is being freed: report those that it is still mapped for."""
        for m, _, _ in list(self._over(phys, n)):
            area = m.owner.area if m.owner is not None else "page"
            if area != "stack":
                kind = "page-free-dma-mapped" if area == "page" else "dma-free-while-mapped"
                self.debug.own(kind, m, ["the memory is freed while it is mapped for the device"], key=(m, "freed"))


def _numbers(m: Mapping) -> set[int]:
    if len(m.pieces) == 1:
        _, phys, size = m.pieces[0]
        first = phys >> 12
        if phys + max(size, 1) - 1 >> 12 == first:
            return {first}
    return {n for _, phys, size in m.pieces for n in range(phys >> 12, (phys + max(size, 1) - 1 >> 12) + 1)}


def _bytes_shared(a: Mapping, b: Mapping) -> bool:
    return any(p.phys < q.phys + q.size and q.phys < p.phys + p.size for p in a.pieces for q in b.pieces)
