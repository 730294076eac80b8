"""Where each processor's unit of per-CPU memory lies (``pcpu_build_alloc_info()``, ``pcpu_embed_first_chunk()``).

A unit holds one processor's copy of everything. Processors of a node share blocks of 2 MiB, and all chunks
have the same distances between units, so one offset for each processor serves every variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from kmock.mm.layout import PAGE_SHIFT, PAGE_SIZE
from kmock.mm.zone_layout import LOW_MEGABYTE, clip, given_back, setup_arch, usable, without

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.zone_layout import Range

STATIC_SIZE: Final = 0x3_7000
"""Bytes of ``.data..percpu``: the kernel's own variables, then those of the drivers that are built in."""
KERNEL_STATIC: Final = 0x1_0000
RESERVED_SIZE: Final = 8 << 10
"""``PERCPU_MODULE_RESERVE``: for the variables of modules."""
DYNAMIC_SIZE: Final = 28 << 10
"""``PERCPU_DYNAMIC_RESERVE``: what the first chunk has for alloc_percpu()."""
UNIT_USED: Final = STATIC_SIZE + RESERVED_SIZE + DYNAMIC_SIZE
ATOM_SIZE: Final = 2 << 20


class Group(NamedTuple):
    """Processors of one node, and where their units begin: relative to the first unit of all."""

    cpus: list[int]
    offset: int


class Units(NamedTuple):
    """The layout that all chunks share."""

    size: int
    """Bytes from one unit to the next in a group, and in a chunk after the first, all of a unit."""
    groups: list[Group]
    base: int
    """Direct-map address of the first chunk's first unit (``pcpu_base_addr``)."""

    def offsets(self) -> dict[int, int]:
        """Return the distance of each processor's unit from the first (``pcpu_unit_offsets``)."""
        return {cpu: group.offset + i * self.size for group in self.groups for i, cpu in enumerate(group.cpus)}

    @property
    def span(self) -> int:
        """Bytes of address space that a chunk spreads over."""
        return max(group.offset + len(group.cpus) * self.size for group in self.groups)


def lay_out(k: Kernel) -> Units:
    """Place the first chunk in memory that boot kept from the page allocator, each group on its node."""
    nodes: dict[int, list[int]] = {}
    for cpu in range(len(k.cpus)):
        nodes.setdefault(k.config.cpu_to_node(cpu), []).append(cpu)
    upa = units_per_atom([len(cpus) for cpus in nodes.values()])
    for size, atom in ((ATOM_SIZE // upa, ATOM_SIZE), (UNIT_USED, PAGE_SIZE)):
        bases = _embed(k, {nid: (len(cpus) - 1) * size + UNIT_USED for nid, cpus in nodes.items()}, atom)
        if bases is not None:
            break
    else:
        k.panic("cannot initialize percpu area (err=-12)")
    first = min(bases.values())
    groups = [Group(cpus, bases[nid] - first) for nid, cpus in nodes.items()]
    return Units(size, groups, k.layout.page_offset + first)


def units_per_atom(groups: list[int]) -> int:
    """Return how many units share a block of 2 MiB, for groups of so many processors: the most that wastes little."""
    best, last = 1, 1 << 30
    for upa in range(ATOM_SIZE // UNIT_USED, 0, -1):
        if ATOM_SIZE % upa or ATOM_SIZE // upa % PAGE_SIZE:
            continue
        blocks = sum(-(-n // upa) for n in groups)
        if blocks * upa - sum(groups) > sum(groups) // 3:
            continue
        if blocks > last:
            break
        best, last = upa, blocks
    return best


def _embed(k: Kernel, sizes: dict[int, int], atom: int) -> dict[int, int] | None:
    """Find room for so many bytes on each node, on another where it has none; None if there isn't any."""
    nodes = [[(a >> PAGE_SHIFT, b >> PAGE_SHIFT) for a, b in node] for node in k.config.reported_ranges()]
    free = [clip(_kept(k, nodes), a, b) for node in nodes for a, b in [(node[0][0], node[-1][1])]]
    bases = {}
    for nid, size in sizes.items():
        near = [*free[nid], *(r for ranges in free for r in ranges)]
        at = next((at for a, b in near if (at := -(-(a << PAGE_SHIFT) // atom) * atom) + size <= b << PAGE_SHIFT), None)
        if at is None:
            return None
        bases[nid] = at
        taken = at >> PAGE_SHIFT, at + size + PAGE_SIZE - 1 >> PAGE_SHIFT
        free = [without(ranges, taken) for ranges in free]
    return bases


def _kept(k: Kernel, nodes: list[list[Range]]) -> list[Range]:
    """Return what boot took for the kernel and never gives back."""
    memblock = setup_arch(k.layout, k.config.reported_ranges())
    reserved = [(row.base >> PAGE_SHIFT, row.end >> PAGE_SHIFT) for row in memblock.reserved]
    kept = without(reserved, (0, LOW_MEGABYTE))
    for pfn, pages in given_back(usable(nodes)):
        kept = without(kept, (pfn, pfn + pages))
    return kept
