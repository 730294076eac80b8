"""What lies where in a machine's memory, and what boot takes of it: the sizes of nodes and zones.

As ``arch/x86/kernel/e820.c``, ``mm/memblock.c`` and ``free_area_init()`` settle it, in page frames.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from kmock.mm.buddy import MAX_ORDER_NR_PAGES
from kmock.mm.layout import PAGE_SHIFT, Layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Range = tuple[int, int]
"""Page frames, [start, end)."""

DMA_LIMIT: Final = 16 << 20
DMA32_LIMIT: Final = 4 << 30
ZONE_NAMES: Final = {64: ("DMA", "DMA32", "Normal", "Movable"), 32: ("DMA", "Normal", "HighMem", "Movable")}

LOW_MEGABYTE: Final = 256
"""Pages below 1 MiB, which the kernel leaves alone (``reserve_real_mode``)."""
BIOS_HOLE: Final = (0x9F, 0x100)
FIRMWARE_TABLES: Final = 33
"""Pages at the top of low memory that hold the firmware's tables."""
IMAGE_PAGES: Final = 5007
"""Kernel image, initial RAM disk and early data."""
INIT_PAGES: Final = 850
INITRD_PAGES: Final = 450
"""What is given back when init starts, after the watermarks were computed: of the image, and of the RAM disk."""
IMAGE_START: Final = 0x1000
SECTION_PAGES: Final = 0x8000
SECTION_MEMMAP: Final = SECTION_PAGES * 64 >> PAGE_SHIFT
_TINY_SHARE: Final = 8


def clip(ranges: Iterable[Range], start: int, end: int) -> list[Range]:
    """Return what of ``ranges`` lies in [start, end)."""
    return [(max(a, start), min(b, end)) for a, b in ranges if max(a, start) < min(b, end)]


def without(ranges: Iterable[Range], hole: Range) -> list[Range]:
    """Return ``ranges`` less ``hole``."""
    pieces = ((a, min(b, hole[0])) for a, b in ranges), ((max(a, hole[1]), b) for a, b in ranges)
    return sorted({(a, b) for part in pieces for a, b in part if a < b})


def usable(nodes: Sequence[Sequence[Range]]) -> list[list[Range]]:
    """Return the page frames of each node that firmware leaves to the kernel, as a PC's e820 map has them."""
    low_end = max((b for node in nodes for _, b in node if b <= DMA32_LIMIT >> PAGE_SHIFT), default=0)
    holes = [(0, 1), BIOS_HOLE, (low_end - FIRMWARE_TABLES, low_end)]
    left = [list(node) for node in nodes]
    for hole in holes:
        left = [without(node, hole) for node in left]
    return left


class Reserved(NamedTuple):
    """Page frames that the kernel took for itself before the page allocator came up."""

    ranges: list[Range]
    late: list[Range]
    """(page frame, number): pages there that are free, but were not yet when the watermarks were computed."""


def reserve(nodes: Sequence[Sequence[Range]], lowmem_end: int) -> Reserved:
    """Return what boot takes of each node: the first megabyte, the image, the memory map, the large hashes."""
    pages = sum(b - a for node in nodes for a, b in node)
    image = min(IMAGE_PAGES, pages // 3)
    first = next(node for node in nodes if node)
    roomy = any(a <= IMAGE_START and IMAGE_START + 2 * image <= b for a, b in first)
    base = IMAGE_START if roomy else max(first[0][0], LOW_MEGABYTE)
    ranges = [(0, LOW_MEGABYTE), (base, base + image)]
    for nid, node in enumerate(nodes):
        need = memmap_pages(node)
        if not nid:
            # alloc_large_system_hash(): a bucket for every two pages for dentries, one for every four for inodes.
            need += (1 << (pages - 1).bit_length()) * (8 // 2 + 8 // 4) >> PAGE_SHIFT
        ranges += take_top(without(clip(node, 0, lowmem_end), ranges[1]), need)
    top = max(b for node in nodes for _, b in node if b <= DMA32_LIMIT >> PAGE_SHIFT)
    late = [(base, INIT_PAGES * image // IMAGE_PAGES), (top - 1, INITRD_PAGES * image // IMAGE_PAGES)]
    return Reserved(ranges, late)


def memmap_pages(node: Sequence[Range]) -> int:
    """Return how many pages a node's ``struct page`` take: whole sections of vmemmap."""
    sections = {s for a, b in node for s in range(a // SECTION_PAGES, (b - 1) // SECTION_PAGES + 1)}
    # No real kernel would boot with so little memory that the clamp matters.
    return min(len(sections) * SECTION_MEMMAP, sum(b - a for a, b in node) // _TINY_SHARE)


def take_top(ranges: Sequence[Range], n: int) -> list[Range]:
    """Return the uppermost ``n`` page frames of ``ranges``."""
    taken: list[Range] = []
    for a, b in sorted(ranges, reverse=True):
        if n <= 0:
            break
        taken.append((max(a, b - n), b))
        n -= b - taken[-1][0]
    return taken


def zone_bounds(layout: Layout) -> list[int]:
    """Return the page frames at which zones begin, and the end of the last: DMA, DMA32 or NORMAL, and so on."""
    edge = DMA32_LIMIT if layout.bits == 64 else layout.direct_map_size
    return [0, DMA_LIMIT >> PAGE_SHIFT, edge >> PAGE_SHIFT, 1 << 52]


def movable_starts(nodes: Sequence[Sequence[Range]], movable: int, lowest: int) -> list[int]:
    """Return where ZONE_MOVABLE begins in each node (``find_zone_movable_pfns_for_nodes``); 0 for nowhere.

    ``movable`` pages are kept for it in all; memory below ``lowest`` is never part of it.
    """
    starts = [0] * len(nodes)
    if not movable:
        return starts
    total = sum(b - a for node in nodes for a, b in node)
    kernelcore = max(total - -(-movable // MAX_ORDER_NR_PAGES) * MAX_ORDER_NR_PAGES, 0)
    share = kernelcore // sum(1 for node in nodes if node)
    for nid, node in enumerate(nodes):
        left = share
        for a, b in node:
            below = max(min(b, lowest) - a, 0)
            left -= below
            if b - a - below > max(left, 0):
                at = a + below + max(left, 0)
                starts[nid] = -(-at // MAX_ORDER_NR_PAGES) * MAX_ORDER_NR_PAGES
                break
            left -= b - a - below
    return starts


class ZonePlan(NamedTuple):
    """One zone as boot lays it out."""

    idx: int
    nid: int
    span: Range
    present: tuple[Range, ...]
    managed: tuple[Range, ...]
    """What is left of ``present`` for the page allocator."""
    late: int
    """Pages of it that were not free yet when the reserves were computed."""
    present_pages: int
    managed_pages: int


# A test suite boots the same few machines a thousand times.
@lru_cache
def plan_zones(layout: Layout, ranges: tuple[tuple[Range, ...], ...], movable: int) -> tuple[ZonePlan, ...]:
    """Lay out the zones of nodes whose memory is at the physical ``ranges``, ``movable`` bytes for ZONE_MOVABLE."""
    nodes = usable([[(a >> PAGE_SHIFT, b >> PAGE_SHIFT) for a, b in node] for node in ranges])
    reserved = reserve(nodes, layout.direct_map_size >> PAGE_SHIFT)
    bounds = zone_bounds(layout)
    end = max(b for node in nodes for _, b in node)
    starts = movable_starts(nodes, movable >> PAGE_SHIFT, max(low for low in bounds[:-1] if low < end))
    plans = []
    for nid, node in enumerate(nodes):
        edges = bounds
        if starts[nid]:
            edges = [min(edge, starts[nid]) for edge in bounds[:-1]] + [starts[nid], bounds[-1]]
        for idx, (low, high) in enumerate(pairwise(edges)):
            if present := clip(node, low, high):
                span = (max(low, node[0][0]), min(high, node[-1][1]))
                plans.append(_plan(idx, nid, span, present, reserved))
    return tuple(plans)


def _plan(idx: int, nid: int, span: Range, present: list[Range], reserved: Reserved) -> ZonePlan:
    managed = present
    for hole in reserved.ranges:
        if any(a < hole[1] and hole[0] < b for a, b in managed):
            managed = without(managed, hole)
    late = sum(pages for pfn, pages in reserved.late if any(a <= pfn < b for a, b in present))
    pages = (sum(b - a for a, b in ranges) for ranges in (present, managed))
    return ZonePlan(idx, nid, span, tuple(present), tuple(managed), late, *pages)
