"""Pages that are handed out by address, in bulk, or cut to size (``mm/page_alloc.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm.bad_page import new_block
from kmock.mm.gfp import __GFP_COMP, __GFP_HIGHMEM, gfp_text
from kmock.mm.layout import PAGE_SHIFT, PAGE_SIZE
from kmock.mm.page import Page, PageBlock, PG_head
from kmock.mm.physaddr import direct_mapped, get_order
from kmock.sanitizers.describe import origin_stacks
from kmock.sanitizers.object import FailedAllocation
from kmock.stack import capture

if TYPE_CHECKING:
    from kmock.machine import Kernel

_FREE_PAGES_BUG = "mm/page_alloc.c:5757"


def null(call: str, size: int) -> Ptr:
    """Return the NULL of a failed allocation, which can name the call when it is dereferenced."""
    return make_ptr(0, FailedAllocation(call, size, capture(2)))


def get_free_pages(k: Kernel, gfp: int, order: int, call: str = "__get_free_pages") -> Ptr:
    """``__get_free_pages()``: the address of the block, NULL if there is none. ``__GFP_HIGHMEM`` is ignored."""
    page = k.page_alloc.alloc_pages(gfp & ~__GFP_HIGHMEM, order, None, call)
    if page is None:
        return null(call, PAGE_SIZE << min(order, 64))
    return make_ptr(k.layout.page_offset + page.phys, page.owner)


def free_pages(k: Kernel, address: int, order: int, call: str = "free_pages") -> None:
    """``free_pages()``: free a block by its address; nothing happens for 0."""
    if not address:
        return
    if isinstance(address, Page):
        # A struct page pointer in an unsigned long: the compiler only warns.
        address = address.address
    page = _page_to_free(k, address, call)
    origin = getattr(address, "origin", None)
    owner = page.owner
    if isinstance(origin, PageBlock) and not origin.live and owner not in (None, origin) and page._refcount > 0:
        _stale(k, page, origin, call)
    if int(address) & PAGE_SIZE - 1 and not page.test(PG_head) and isinstance(owner, PageBlock) and owner.live:
        k.page_alloc.bad.complain("page-free-tail", call, page)
        k.page_alloc.drop(page, order)
        return
    k.page_alloc.free_pages(page, order, call)


def _page_to_free(k: Kernel, address: int, call: str) -> Page:
    if not direct_mapped(k, address):
        _no_page_at(k, address, call)
    return k.memmap.page(int(address) - k.layout.page_offset >> PAGE_SHIFT)


def _no_page_at(k: Kernel, address: int, call: str) -> NoReturn:
    kind = "vmalloc-to-virt-to-page" if k.layout.is_vmalloc(int(address)) else "virt-to-page-bad"
    if k.config.debug_vm:
        k.bug(kind, _FREE_PAGES_BUG)
    pfn = (int(address) - k.layout.page_offset & (1 << 64) - 1) >> PAGE_SHIFT
    struct_page = k.memmap.page(pfn).address & (1 << 64) - 1
    k.die(
        kind,
        f"BUG: unable to handle page fault for address: {struct_page:016x}",
        lines=["#PF: supervisor read access in kernel mode", "#PF: error_code(0x0000) - not-present page"],
        attributes={"freed": int(address), "by": call},
    )


def _stale(k: Kernel, page: Page, origin: PageBlock, call: str) -> None:
    """Report that what ``origin`` was has been freed before, and belongs to somebody else by now."""
    stacks = {"access": k.capture(), **origin_stacks(origin)}
    lines = []
    if isinstance(page.owner, PageBlock):
        stacks["owner allocated"] = page.owner.alloc_stack
        lines.append(f"now belongs to {page.owner.what}")
    headline = f"BUG: kmock: page-double-free in {call}()"
    k.report("page-double-free", headline, stacks=stacks, lines=lines, key=(origin, "free"))


# -- split and exact ----------------------------------------------------------------------------------------------


def split_page(k: Kernel, page: Page, order: int) -> None:
    """``split_page()``: make each page of a non-compound block an allocation of its own."""
    bad = k.page_alloc.bad
    compound = bool(page.flags >> PG_head & 1) or page.head is not None
    free = not page._refcount
    with bad.caused_by("page-split-misuse" if compound or free else "", "split_page", page):
        if compound and k.config.debug_vm:
            bad.bug("", "mm/page_alloc.c:3644", page, "PageCompound(page)")
        if free and k.config.debug_vm:
            bad.bug("", "mm/page_alloc.c:3645", page, "!page_count(page)")
    whole = page.owner
    for i in range(1 << order):
        one = page + i
        one._refcount = max(one._refcount, 1)
        if isinstance(whole, PageBlock) and whole.live:
            _own(k, one, PAGE_SIZE, 0, whole)
    k.page_alloc.blocks.pop(getattr(whole, "seq", -1), None)


def _own(k: Kernel, page: Page, size: int, order: int, whole: PageBlock) -> PageBlock:
    """Give pages cut out of ``whole`` a record of their own."""
    block = new_block(k, page, size, order, whole.gfp, whole.call, written=whole.written is None)
    block.alloc_stack = whole.alloc_stack
    page.owner = block
    k.page_alloc.blocks[block.seq] = block
    return block


def alloc_pages_exact(k: Kernel, size: int, gfp: int, nid: int | None = None) -> Ptr:
    """``alloc_pages_exact()``: as many pages as ``size`` bytes need, each of which counts for itself."""
    if gfp & (__GFP_COMP | __GFP_HIGHMEM):
        at = "mm/page_alloc.c:5930" if nid is None else "mm/page_alloc.c:5955"
        k.warn("gfp-contradictory", at, "alloc_pages_exact", lines=[f"gfp: {gfp_text(gfp)}"], key=gfp)
        gfp &= ~(__GFP_COMP | __GFP_HIGHMEM)
    allocator = k.page_alloc
    order = get_order(size)
    page = allocator.alloc_pages(gfp, order, nid, "alloc_pages_exact")
    if page is None:
        return null("alloc_pages_exact", size)
    block: PageBlock = page.owner
    pages = -(-size >> PAGE_SHIFT)
    block.size = pages << PAGE_SHIFT
    for i in range(1, 1 << order):
        one = page + i
        if i < pages:
            one._refcount = 1
        else:
            one.owner = None
            allocator.free_the_page(one, 0, tail=True)
    return make_ptr(block.addr, block)


def free_pages_exact(k: Kernel, address: int, size: int) -> None:
    """``free_pages_exact()``: give back what ``alloc_pages_exact()`` gave, with the same size."""
    if not address or not size:
        return
    page = _page_to_free(k, address, "free_pages_exact")
    allocator = k.page_alloc
    block = page.owner
    pages = -(-size >> PAGE_SHIFT)
    with allocator.bad.caused_by(_wrong_exact(block, page, pages), "free_pages_exact", page):
        if isinstance(block, PageBlock) and block.live:
            allocator.end(block)
        for i in range(pages):
            allocator.drop(page + i, 0)


def _wrong_exact(block: Any, page: Page, pages: int) -> str:
    if not isinstance(block, PageBlock):
        return "free-pages-of-kmalloc" if block is not None else "page-double-free"
    if not block.live:
        return "page-double-free"
    if block.call != "alloc_pages_exact":
        return "page-exact-mismatch"
    return "" if block.page is page and block.size == pages << PAGE_SHIFT else "free-size-mismatch"


# -- bulk ---------------------------------------------------------------------------------------------------------


def alloc_pages_bulk(k: Kernel, gfp: int, nid: int | None, n: int, pages: list[Any]) -> int:
    """``__alloc_pages_bulk()``: fill the empty ones of the first ``n`` slots; return how many are full from the start.

    With too little memory for all, one page is tried for.
    """
    filled = 0
    for i in range(n):
        if not pages[i]:
            page = k.page_alloc.alloc_pages(gfp, 0, nid, "alloc_pages_bulk_array")
            if page is None:
                break
            pages[i] = page
        filled = i + 1
    return filled


# -- page_frag ----------------------------------------------------------------------------------------------------

FRAG_MAX_ORDER = 3
FRAG_MAX_SIZE = PAGE_SIZE << FRAG_MAX_ORDER
_FRAG_GFP = __GFP_COMP | 0x2000 | 0x10000 | 0x80000


class page_frag_cache:
    """``struct page_frag_cache``: a block that small pieces are cut from, from its end downwards."""

    __slots__ = ("offset", "page", "pagecnt_bias", "size", "va")

    def __init__(self) -> None:
        self.va: Ptr = NULL
        self.page: Page | None = None
        self.offset = 0
        self.size = 0
        self.pagecnt_bias = 0


def page_frag_alloc(k: Kernel, nc: page_frag_cache, size: int, gfp: int, mask: int = -1) -> Ptr:
    """``page_frag_alloc_align()``: ``size`` bytes, whose page is released by ``page_frag_free()``."""
    while True:
        if nc.page is None and not _refill(k, nc, gfp):
            return null("page_frag_alloc", size)
        page = nc.page
        assert page is not None
        offset = nc.offset - size
        if offset < 0:
            page._refcount -= nc.pagecnt_bias
            if page._refcount:
                nc.page = None
                continue
            _reset(nc, page)
            page._refcount = FRAG_MAX_SIZE + 1
            offset = nc.size - size
            if offset < 0:
                return null("page_frag_alloc", size)
        nc.pagecnt_bias -= 1
        nc.offset = offset & mask
        return nc.va + nc.offset


def _refill(k: Kernel, nc: page_frag_cache, gfp: int) -> bool:
    page = k.page_alloc.alloc_pages(gfp | _FRAG_GFP, FRAG_MAX_ORDER, None, "page_frag_alloc")
    nc.size = FRAG_MAX_SIZE
    if page is None:
        page = k.page_alloc.alloc_pages(gfp, 0, None, "page_frag_alloc")
        nc.size = PAGE_SIZE
    if page is None:
        return False
    nc.page = page
    nc.va = make_ptr(k.layout.page_offset + page.phys, page.owner)
    page._refcount += FRAG_MAX_SIZE
    _reset(nc, page)
    return True


def _reset(nc: page_frag_cache, page: Page) -> None:
    nc.pagecnt_bias = FRAG_MAX_SIZE + 1
    nc.offset = nc.size
    nc.page = page


def page_frag_free(k: Kernel, address: int) -> None:
    """``page_frag_free()``: drop the piece's reference to its page."""
    page = _page_to_free(k, address, "page_frag_free").compound_head
    page_frag_cache_drain(k, page, 1)


def page_frag_cache_drain(k: Kernel, page: Page, count: int) -> None:
    """``__page_frag_cache_drain()``: drop ``count`` references."""
    bad = k.page_alloc.bad
    with bad.caused_by("" if page._refcount else "page-double-free", "page_frag_free", page):
        if not page._refcount and k.config.debug_vm:
            bad.bug("", "mm/page_alloc.c:5798", page, "page_ref_count(page) == 0")
        page._refcount -= count
        if not page._refcount:
            k.page_alloc.free_the_page(page, page.order)
