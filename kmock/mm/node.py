"""``pg_data_t``: what is known of one node's memory (``include/linux/mmzone.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.mm.boot_memory import BootMemory
    from kmock.mm.memblock import FreeRange
    from kmock.mm.zones import Zone


class pglist_data:
    """``pg_data_t``: one node's memory."""

    __slots__ = ("_home", "node_id")

    def __init__(self, home: BootMemory, node_id: int) -> None:
        self._home = home
        self.node_id = node_id

    def _ranges(self) -> Iterator[FreeRange]:
        return self._home.memblock.pfn_ranges(self.node_id)

    @property
    def node_start_pfn(self) -> int:
        """First page frame."""
        return min((r.start for r in self._ranges()), default=0)

    @property
    def node_spanned_pages(self) -> int:
        """Page frames from the first to the last, holes too."""
        return max((r.end for r in self._ranges()), default=0) - self.node_start_pfn

    @property
    def node_present_pages(self) -> int:
        """Page frames that exist."""
        return sum(r.end - r.start for r in self._ranges())

    @property
    def node_zones(self) -> list[Zone]:
        """The zones that have memory, lowest first."""
        return [*self._home.kernel.page_alloc.zones.nodes[self.node_id].values()]

    def __repr__(self) -> str:
        return f"<pg_data of node {self.node_id}>"
