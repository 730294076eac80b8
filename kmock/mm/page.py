"""``struct page``: one for each page frame, brought into being when somebody first asks for it.

``include/linux/mm_types.h``, ``include/linux/page-flags.h``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from kmock.kernel.list import list_head
from kmock.mm.layout import STRUCT_PAGE_SIZE
from kmock.sanitizers.object import Allocation

if TYPE_CHECKING:
    from kmock.hw.ram import Ram
    from kmock.mm.layout import Layout
    from kmock.mm.page_alloc import Zone

PG_locked = 0
PG_referenced = 1
PG_uptodate = 2
PG_dirty = 3
PG_lru = 4
PG_active = 5
PG_workingset = 6
PG_waiters = 7
PG_error = 8
PG_slab = 9
PG_owner_priv_1 = 10
PG_arch_1 = 11
PG_reserved = 12
PG_private = 13
PG_private_2 = 14
PG_writeback = 15
PG_head = 16
PG_mappedtodisk = 17
PG_reclaim = 18
PG_swapbacked = 19
PG_unevictable = 20
PG_mlocked = 21

FLAG_NAMES = {number: name.removeprefix("PG_") for name, number in list(globals().items()) if name.startswith("PG_")}

PAGE_BUDDY_MAPCOUNT_VALUE = -128
"""What ``_mapcount`` reads while a page is the head of a free block (``PageBuddy``)."""


class Page:
    """One page frame. Pages compare by identity; ``page + 1`` is the next frame's, as in C."""

    lru: list_head
    """For the list of whoever owns the page; made when first used."""

    __slots__ = (
        "_mapcount",
        "_refcount",
        "flags",
        "head",
        "index",
        "lru",
        "mapping",
        "memmap",
        "migratetype",
        "order",
        "owner",
        "pfn",
        "private",
        "zone",
    )

    def __init__(self, memmap: MemMap, pfn: int, zone: Zone | None) -> None:
        self.memmap = memmap
        self.pfn = pfn
        self.zone = zone
        self.flags = 0
        self._refcount = 0
        self._mapcount = -1
        self.mapping: Any = None
        self.index = 0
        self.private: Any = 0
        self.order = 0
        """Order of the compound page or of the free block this page heads."""
        self.head: Page | None = None
        """``compound_head`` of a tail page, else None."""
        self.owner: Any = None
        """What the page's bytes belong to: a Slab, a PageBlock, or None while it is free."""
        self.migratetype = 0

    def __getattr__(self, name: str) -> list_head:
        if name != "lru":
            raise AttributeError(f"struct page has no member {name!r}")
        self.lru = list_head()
        return self.lru

    @property
    def address(self) -> int:
        """Where this ``struct page`` lies in vmemmap."""
        return self.memmap.layout.vmemmap + self.pfn * STRUCT_PAGE_SIZE

    @property
    def phys(self) -> int:
        """Physical address of the page's first byte."""
        return self.pfn << 12

    def test(self, flag: int) -> bool:
        """Whether the flag of that number is set."""
        return bool(self.flags >> flag & 1)

    def set(self, flag: int) -> None:
        """Set a flag."""
        self.flags |= 1 << flag

    def clear(self, flag: int) -> None:
        """Clear a flag."""
        self.flags &= ~(1 << flag)

    @property
    def compound_head(self) -> Page:
        """The head of the compound page this page is part of, or the page itself."""
        return self.head or self

    @property
    def mapcount(self) -> int:
        """``page_mapcount()``: how often the page is mapped into processes."""
        return self._mapcount + 1

    def __add__(self, n: int) -> Page:
        return self.memmap.page(self.pfn + n)

    @overload
    def __sub__(self, other: Page) -> int: ...
    @overload
    def __sub__(self, other: int) -> Page: ...
    def __sub__(self, other: Page | int) -> Page | int:
        if isinstance(other, Page):
            return self.pfn - other.pfn
        return self.memmap.page(self.pfn - other)

    def __repr__(self) -> str:
        return f"<page pfn={self.pfn:#x} refcount={self._refcount}>"


class MemMap:
    """The array of ``struct page``, sparse."""

    __slots__ = ("layout", "pages", "ram", "zone_of")

    def __init__(self, ram: Ram, layout: Layout) -> None:
        self.ram = ram
        self.layout = layout
        self.pages: dict[int, Page] = {}
        self.zone_of: Any = lambda _pfn: None
        """Set by the page allocator: the zone that a page frame lies in."""

    def page(self, pfn: int) -> Page:
        """``pfn_to_page()``."""
        page = self.pages.get(pfn)
        if page is None:
            zone = self.zone_of(pfn)
            page = self.pages[pfn] = Page(self, pfn, zone)
            if zone is None or not zone.is_managed(pfn):
                # Nobody's to give: a hole, or what boot took for itself.
                page.flags = 1 << PG_reserved
                page._refcount = 1
        return page

    def valid(self, pfn: int) -> bool:
        """``pfn_valid()``: whether there is memory at that frame."""
        return self.ram.exists(pfn << 12)


class PageBlock(Allocation):
    """Pages from the page allocator, from their allocation until they go to somebody else."""

    __slots__ = ("call", "gfp", "order", "page", "pages_left", "released_by")

    @property
    def area(self) -> str:  # type: ignore[override]
        """A large kmalloc is slab memory to its user, whatever lies below."""
        return "slab" if self.call == "kmalloc" else "page"

    page: Page
    order: int
    gfp: int
    call: str
    """The public call that allocated it, for the hint: ``alloc_pages``, ``alloc_pages_exact``, ``kmalloc``..."""
    released_by: str
    """The call that freed it while somebody held a reference, so that it is still there; empty if none did."""
    """The call that tried to free it while somebody held a reference; unset until then."""

    @property
    def what(self) -> str:
        """Say how many pages it is."""
        n = 1 << self.order
        return f"{n} page{'s' if n > 1 else ''} of {self.call}()"

    @property
    def undo(self) -> str:
        """The call that gives it back."""
        return {
            "kmalloc": "kfree",
            "alloc_pages_exact": "free_pages_exact",
            "__get_free_pages": "free_pages",
            "get_zeroed_page": "free_page",
            "mempool_alloc": "mempool_free",
            "dma_alloc_coherent": "dma_free_coherent",
            "dma_alloc_pages": "dma_free_pages",
        }.get(self.call, "__free_pages")

    @property
    def leak_kind(self) -> str:
        """Kind of report for never giving it back: a reference may be what keeps it. Empty for large kmalloc."""
        if self.call == "kmalloc":
            return ""
        if self.call == "mempool_alloc":
            return "mempool-leak"
        if self.call.startswith("dma_"):
            return "dma-coherent-leak" if self.call == "dma_alloc_coherent" else "dma-map-leak"
        return "page-refcount-leak" if self.released_by or self.page._refcount > 1 else "page-leak"

    @property
    def usable(self) -> int:
        """All of the block's bytes."""
        return 4096 << self.order

    def probe(self, address: int) -> Allocation | None:
        """Return the allocation at ``address``: this one, whatever the place in it; none for highmem's windows."""
        return self if self.addr else None
