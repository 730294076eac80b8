"""How often a page is mapped, and by whom it is counted (``mm/rmap.c``, ``include/linux/mm.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.hw.mmu import PTE_DIRTY, PTE_PFN_MASK, PTE_RW
from kmock.mm.page import Page, PG_head, PG_mappedtodisk, PG_referenced, PG_swapbacked, PG_uptodate
from kmock.mm.vm_flags import VM_SHARED

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.vma import vm_area_struct

MM_FILEPAGES: Final = 0
MM_ANONPAGES: Final = 1
MM_SWAPENTS: Final = 2
MM_SHMEMPAGES: Final = 3
COUNTER_NAMES: Final = ("MM_FILEPAGES", "MM_ANONPAGES", "MM_SWAPENTS", "MM_SHMEMPAGES")

PG_anon_exclusive: Final = PG_mappedtodisk
"""Of an anonymous page: nobody else has it."""


class AnonVma:
    """``struct anon_vma``: what the pages of an area's own point to as ``page->mapping``.

    ``forked`` says that a parent's pages may be found through it as well, so that areas are not merged for it.
    """

    __slots__ = ("forked",)

    def __init__(self, *, forked: bool = False) -> None:
        self.forked = forked


def is_anon(page: Page) -> bool:
    """``PageAnon()``."""
    return (page.head or page).mapping.__class__ is AnonVma


def counter_of(page: Page) -> int:
    """``mm_counter()``: which of a process' counters a mapped page is in."""
    if is_anon(page):
        return MM_ANONPAGES
    return MM_SHMEMPAGES if page.test(PG_swapbacked) else MM_FILEPAGES


def add_file_rmap(mm: mm_struct, page: Page) -> None:
    """``page_add_file_rmap()``, and the process' counter: one mapping more of a page that is somebody's."""
    mm.rss[counter_of(page)] += 1
    page._mapcount += 1


def add_new_anon_rmap(mm: mm_struct, page: Page, vma: vm_area_struct, address: int) -> None:
    """``page_add_new_anon_rmap()``, and the process' counter: the first mapping of a fresh page."""
    mm.rss[MM_ANONPAGES] += 1
    page._mapcount = 0
    page.mapping = vma.anon_vma
    page.index = vma.pgoff_of(address)
    page.flags |= 1 << PG_uptodate | 1 << PG_swapbacked | 1 << PG_anon_exclusive


def remove_rmap(mm: mm_struct, page: Page) -> None:
    """``page_remove_rmap()``, and the process' counter: one mapping less."""
    mm.rss[counter_of(page)] -= 1
    page._mapcount -= 1


def page_mkclean(page: Page) -> int:
    """``folio_mkclean()``: have the next store fault through any mapping of a file's page; how many were written through."""
    cleaned = 0
    for vma in page.mapping.i_mmap:
        address = vma.vm_start + (page.index - vma.vm_pgoff << 12)
        if not vma.vm_flags & VM_SHARED or not vma.vm_start <= address < vma.vm_end:
            continue
        entry = vma.vm_mm.pte(address)
        if entry & (PTE_DIRTY | PTE_RW) and (entry & PTE_PFN_MASK) >> 12 == page.pfn:
            vma.vm_mm.set_pte(address, entry & ~(PTE_DIRTY | PTE_RW))
            cleaned += 1
    return cleaned


def anon_vma_prepare(vma: vm_area_struct) -> None:
    """``anon_vma_prepare()``: the area gets pages of its own; it shares the anon_vma of a neighbour it may merge with."""
    if vma.anon_vma is not None:
        return
    for near, first, second in (
        (vma.vm_mm.after(vma), vma, vma.vm_mm.after(vma)),
        (vma.vm_mm.before(vma), vma.vm_mm.before(vma), vma),
    ):
        if near is not None and first is not None and second is not None and _could_share(near, first, second):
            vma.anon_vma = near.anon_vma
            return
    vma.anon_vma = AnonVma()


def _could_share(near: vm_area_struct, first: vm_area_struct, second: vm_area_struct) -> bool:
    # reusable_anon_vma(): the areas may differ in protection only.
    return (
        near.anon_vma is not None
        and not near.anon_vma.forked
        and first.vm_end == second.vm_start
        and first.vm_file is second.vm_file
        and not (first.vm_flags ^ second.vm_flags) & ~0x7
        and second.vm_pgoff == first.vm_pgoff + first.pages
    )


def mark_page_accessed(page: Page) -> None:
    """``mark_page_accessed()`` of a page on no list: the second time in a row only unmarks it."""
    page.flags ^= 1 << PG_referenced


def put_user_page(k: Kernel, page: Page) -> None:
    """Drop the reference that a mapping held (``release_pages()``); the last one frees the page."""
    head = page.head or page
    if k.page_alloc.put_page_testzero(head, "page-refcount-overput"):
        k.page_alloc.free_the_page(head, head.order if head.flags >> PG_head & 1 else 0)
