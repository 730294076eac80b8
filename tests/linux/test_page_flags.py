"""Page flags: each name of a family reads and writes the flag that the others do."""

from __future__ import annotations

import pytest

from kmock.linux import page_flags
from kmock.linux.gfp import __GFP_COMP, GFP_KERNEL, __free_page, __free_pages, alloc_page, alloc_pages
from kmock.linux.page_flags import (
    PageBuddy,
    PageDirty,
    PageLRU,
    PageMlocked,
    PageReserved,
    PageSlab,
    PageUnevictable,
    PageUptodate,
    PageWorkingset,
    PageWriteback,
    SetPageUptodate,
    TestClearPageDirty,
    TestSetPageDirty,
)

CHANGED = [
    "PageActive SetPageActive ClearPageActive",
    "PageChecked SetPageChecked ClearPageChecked",
    "PageDirty SetPageDirty ClearPageDirty",
    "PageError SetPageError ClearPageError",
    "PageMappedToDisk SetPageMappedToDisk ClearPageMappedToDisk",
    "PagePrivate SetPagePrivate ClearPagePrivate",
    "PagePrivate2 SetPagePrivate2 ClearPagePrivate2",
    "PageReadahead SetPageReadahead ClearPageReadahead",
    "PageReclaim SetPageReclaim ClearPageReclaim",
    "PageReferenced SetPageReferenced ClearPageReferenced",
    "PageReserved SetPageReserved ClearPageReserved",
    "PageSwapBacked SetPageSwapBacked ClearPageSwapBacked",
    "PageUptodate SetPageUptodate ClearPageUptodate",
]


@pytest.mark.parametrize("names", CHANGED, ids=lambda names: names.split()[0])
def test_set_test_and_clear(kernel, names):
    test, set_, clear = (getattr(page_flags, name) for name in names.split())
    page = alloc_page(GFP_KERNEL)
    before = page.flags
    assert not test(page)
    set_(page)
    assert test(page)
    clear(page)
    assert page.flags == before
    __free_page(page)


def test_flags_of_a_fresh_page_are_clear(kernel):
    page = alloc_page(GFP_KERNEL)
    kept = (PageBuddy, PageLRU, PageMlocked, PageReserved, PageSlab, PageUnevictable, PageWorkingset, PageWriteback)
    assert [test.__name__ for test in kept if test(page)] == []
    __free_page(page)


def test_testing_and_changing_in_one_step(kernel):
    page = alloc_page(GFP_KERNEL)
    assert (TestSetPageDirty(page), TestSetPageDirty(page), PageDirty(page)) == (False, True, True)
    assert (TestClearPageDirty(page), TestClearPageDirty(page), PageDirty(page)) == (True, False, False)
    __free_page(page)


def test_a_flag_of_a_tail_page_is_its_heads(kernel):
    page = alloc_pages(GFP_KERNEL | __GFP_COMP, 1)
    SetPageUptodate(page + 1)
    assert PageUptodate(page)
    __free_pages(page, 1)
