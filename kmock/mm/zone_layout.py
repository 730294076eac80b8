"""What lies where in a machine's memory, and what boot takes of it: the sizes of nodes and zones.

As ``setup_arch()``, ``arch/x86/kernel/e820.c`` and ``free_area_init()`` settle it by way of memblock, in page frames.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from kmock.mm.buddy import MAX_ORDER_NR_PAGES
from kmock.mm.layout import PAGE_SHIFT, PAGE_SIZE, Layout
from kmock.mm.memblock import MEMBLOCK_ALLOC_ACCESSIBLE, Memblock

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


@lru_cache
def setup_arch(layout: Layout, ranges: tuple[tuple[Range, ...], ...]) -> Memblock:
    """Return what memblock holds when the zones are about to be made; ``ranges`` are each node's bytes of RAM.

    Memory as firmware's map has it; reserved are the first megabyte, the image, the memory map and the large hashes.
    Machines are alike, so all of a kind share it: whoever wants to change it takes a copy.
    """
    nodes = usable([[(a >> PAGE_SHIFT, b >> PAGE_SHIFT) for a, b in node] for node in ranges])
    memblock = Memblock()
    memblock.allow_resize()
    for nid, node in enumerate(nodes):
        for start, end in node:
            memblock.memory.add(start << PAGE_SHIFT, end - start << PAGE_SHIFT)
            memblock.set_node(start << PAGE_SHIFT, end - start << PAGE_SHIFT, memblock.memory, nid)
    memblock.current_limit = layout.direct_map_size
    base, pages = image(nodes)
    memblock.reserved.add(0, LOW_MEGABYTE << PAGE_SHIFT)
    memblock.reserved.add(base << PAGE_SHIFT, pages << PAGE_SHIFT)
    for nid, node in enumerate(nodes):
        take(memblock, nid, memmap_pages(node) + (0 if nid else hash_pages(nodes)))
    return memblock


def image(nodes: Sequence[Sequence[Range]]) -> Range:
    """Return (first page frame, number of pages) of the kernel's image."""
    size = min(IMAGE_PAGES, sum(b - a for node in nodes for a, b in node) // 3)
    first = next(node for node in nodes if node)
    roomy = any(a <= IMAGE_START and IMAGE_START + 2 * size <= b for a, b in first)
    return IMAGE_START if roomy else max(first[0][0], LOW_MEGABYTE), size


def given_back(nodes: Sequence[Sequence[Range]]) -> list[tuple[int, int]]:
    """Return (page frame, number): pages there that are free once init starts, after the watermarks were computed."""
    base, size = image(nodes)
    top = max(b for node in nodes for _, b in node if b <= DMA32_LIMIT >> PAGE_SHIFT)
    return [(base, INIT_PAGES * size // IMAGE_PAGES), (top - 1, INITRD_PAGES * size // IMAGE_PAGES)]


def hash_pages(nodes: Sequence[Sequence[Range]]) -> int:
    """``alloc_large_system_hash()``: a bucket for every two pages for dentries, one for every four for inodes."""
    pages = sum(b - a for node in nodes for a, b in node)
    return (1 << (pages - 1).bit_length()) * (8 // 2 + 8 // 4) >> PAGE_SHIFT


def memmap_pages(node: Sequence[Range]) -> int:
    """Return how many pages a node's ``struct page`` take: whole sections of vmemmap."""
    sections = {s for a, b in node for s in range(a // SECTION_PAGES, (b - 1) // SECTION_PAGES + 1)}
    # No real kernel would boot with so little memory that the clamp matters.
    return min(len(sections) * SECTION_MEMMAP, sum(b - a for a, b in node) // _TINY_SHARE)


def take(memblock: Memblock, nid: int, pages: int) -> None:
    """Allocate so many pages from a node, in smaller pieces where they don't fit in one."""
    piece = pages
    while pages > 0 and piece:
        size = min(piece, pages) << PAGE_SHIFT
        if memblock.alloc(size, PAGE_SIZE, 0, MEMBLOCK_ALLOC_ACCESSIBLE, nid, exact=True):
            pages -= size >> PAGE_SHIFT
        else:
            piece //= 2


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
def plan_boot(layout: Layout, ranges: tuple[tuple[Range, ...], ...], movable: int) -> tuple[ZonePlan, ...]:
    """Lay out the zones of nodes whose memory is at the physical ``ranges``, ``movable`` bytes for ZONE_MOVABLE."""
    memblock = setup_arch(layout, ranges)
    nodes = memory_of(memblock, len(ranges))
    return plan_zones(memblock, nodes, zone_bounds(layout), movable, given_back(nodes))


def memory_of(memblock: Memblock, nodes: int) -> list[list[Range]]:
    """Return the page frames of memory of each node; what belongs to no node counts as the first one's."""
    found: list[list[Range]] = [[] for _ in range(nodes)]
    for start, end, nid in memblock.pfn_ranges():
        found[nid if nid < nodes else 0].append((start, end))
    return found


def plan_zones(
    memblock: Memblock,
    nodes: Sequence[Sequence[Range]],
    bounds: Sequence[int],
    movable: int,
    late: Sequence[tuple[int, int]],
) -> tuple[ZonePlan, ...]:
    """Lay out zones that begin at the page frames ``bounds``, over what memblock has and has not reserved.

    ``late`` are (page frame, number of pages) that were not free yet when the reserves were computed.
    """
    end = max((b for node in nodes for _, b in node), default=0)
    starts = movable_starts(nodes, movable >> PAGE_SHIFT, max((low for low in bounds[:-1] if low < end), default=0))
    free = [(-(-r.start >> PAGE_SHIFT), r.end >> PAGE_SHIFT) for r in memblock.free_ranges()]
    plans = []
    for nid, node in enumerate(nodes):
        edges = list(bounds)
        if starts[nid]:
            edges = [min(edge, starts[nid]) for edge in bounds[:-1]] + [starts[nid], bounds[-1]]
        for idx, (low, high) in enumerate(pairwise(edges)):
            if present := clip(node, low, high):
                span = (max(low, node[0][0]), min(high, node[-1][1]))
                plans.append(_plan(idx, nid, span, present, free, late))
    return tuple(plans)


def _plan(
    idx: int, nid: int, span: Range, present: list[Range], free: list[Range], late: Sequence[tuple[int, int]]
) -> ZonePlan:
    managed = [r for a, b in present for r in clip(free, a, b)]
    freed = sum(pages for pfn, pages in late if any(a <= pfn < b for a, b in present))
    pages = (sum(b - a for a, b in ranges) for ranges in (present, managed))
    return ZonePlan(idx, nid, span, tuple(present), tuple(managed), freed, *pages)
