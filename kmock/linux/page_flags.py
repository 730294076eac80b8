"""``<linux/page-flags.h>``: what a page's flags say.

The families ``PageX``, ``SetPageX``, ``ClearPageX`` and ``TestSetPageX``, ``TestClearPageX`` are made by one
function each, as the C header makes them by macros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm.debug import buddy_order
from kmock.mm.page import (
    PG_active,
    PG_dirty,
    PG_error,
    PG_head,
    PG_locked,
    PG_lru,
    PG_mappedtodisk,
    PG_mlocked,
    PG_owner_priv_1,
    PG_private,
    PG_private_2,
    PG_reclaim,
    PG_referenced,
    PG_reserved,
    PG_slab,
    PG_swapbacked,
    PG_unevictable,
    PG_uptodate,
    PG_workingset,
    PG_writeback,
)
from kmock.mm.rmap import is_anon

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel
    from kmock.mm.page import Page

P = ParamSpec("P")
R = TypeVar("R")


def _named(name: str, doc: str, function: Callable[Concatenate[Kernel, P], R]) -> Callable[P, R]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return api(since="2.3")(function)


def _test(name: str, flag: int) -> Callable[[Page], bool]:
    def test(k: Kernel, page: Page) -> bool:
        return page.compound_head.test(flag)

    return _named(f"Page{name}", "Return whether the flag is set.", test)


def _set(name: str, flag: int) -> Callable[[Page], None]:
    def change(k: Kernel, page: Page) -> None:
        page.compound_head.set(flag)

    return _named(f"SetPage{name}", "Set the flag.", change)


def _clear(name: str, flag: int) -> Callable[[Page], None]:
    def change(k: Kernel, page: Page) -> None:
        page.compound_head.clear(flag)

    return _named(f"ClearPage{name}", "Clear the flag.", change)


def _test_set(name: str, flag: int) -> Callable[[Page], bool]:
    def change(k: Kernel, page: Page) -> bool:
        head = page.compound_head
        was = head.test(flag)
        head.set(flag)
        return was

    return _named(f"TestSetPage{name}", "Set the flag; return what it was.", change)


def _test_clear(name: str, flag: int) -> Callable[[Page], bool]:
    def change(k: Kernel, page: Page) -> bool:
        head = page.compound_head
        was = head.test(flag)
        head.clear(flag)
        return was

    return _named(f"TestClearPage{name}", "Clear the flag; return what it was.", change)


PageActive = _test("Active", PG_active)
SetPageActive = _set("Active", PG_active)
ClearPageActive = _clear("Active", PG_active)
PageChecked = _test("Checked", PG_owner_priv_1)
SetPageChecked = _set("Checked", PG_owner_priv_1)
ClearPageChecked = _clear("Checked", PG_owner_priv_1)
PageDirty = _test("Dirty", PG_dirty)
SetPageDirty = _set("Dirty", PG_dirty)
ClearPageDirty = _clear("Dirty", PG_dirty)
TestSetPageDirty = _test_set("Dirty", PG_dirty)
TestClearPageDirty = _test_clear("Dirty", PG_dirty)
PageError = _test("Error", PG_error)
SetPageError = _set("Error", PG_error)
ClearPageError = _clear("Error", PG_error)
PageLRU = _test("LRU", PG_lru)
PageLocked = _test("Locked", PG_locked)
PageMappedToDisk = _test("MappedToDisk", PG_mappedtodisk)
SetPageMappedToDisk = _set("MappedToDisk", PG_mappedtodisk)
ClearPageMappedToDisk = _clear("MappedToDisk", PG_mappedtodisk)
PageMlocked = _test("Mlocked", PG_mlocked)
PagePrivate = _test("Private", PG_private)
SetPagePrivate = _set("Private", PG_private)
ClearPagePrivate = _clear("Private", PG_private)
PagePrivate2 = _test("Private2", PG_private_2)
SetPagePrivate2 = _set("Private2", PG_private_2)
ClearPagePrivate2 = _clear("Private2", PG_private_2)
PageReadahead = _test("Readahead", PG_reclaim)
SetPageReadahead = _set("Readahead", PG_reclaim)
ClearPageReadahead = _clear("Readahead", PG_reclaim)
PageReclaim = _test("Reclaim", PG_reclaim)
SetPageReclaim = _set("Reclaim", PG_reclaim)
ClearPageReclaim = _clear("Reclaim", PG_reclaim)
PageReferenced = _test("Referenced", PG_referenced)
SetPageReferenced = _set("Referenced", PG_referenced)
ClearPageReferenced = _clear("Referenced", PG_referenced)
PageReserved = _test("Reserved", PG_reserved)
SetPageReserved = _set("Reserved", PG_reserved)
ClearPageReserved = _clear("Reserved", PG_reserved)
PageSlab = _test("Slab", PG_slab)
PageSwapBacked = _test("SwapBacked", PG_swapbacked)
SetPageSwapBacked = _set("SwapBacked", PG_swapbacked)
ClearPageSwapBacked = _clear("SwapBacked", PG_swapbacked)
PageUnevictable = _test("Unevictable", PG_unevictable)
PageUptodate = _test("Uptodate", PG_uptodate)
SetPageUptodate = _set("Uptodate", PG_uptodate)
ClearPageUptodate = _clear("Uptodate", PG_uptodate)
PageWorkingset = _test("Workingset", PG_workingset)
PageWriteback = _test("Writeback", PG_writeback)


@api(since="2.6")
def PageHead(k: Kernel, page: Page) -> bool:
    """Return whether this is the first page of a compound page."""
    return page.test(PG_head)


@api(since="2.6")
def PageTail(k: Kernel, page: Page) -> bool:
    """Return whether this is a page of a compound page other than the first."""
    return page.head is not None


@api(since="2.6")
def PageCompound(k: Kernel, page: Page) -> bool:
    """Return whether this is part of a compound page."""
    return page.test(PG_head) or page.head is not None


@api(since="2.6")
def PageBuddy(k: Kernel, page: Page) -> bool:
    """Return whether this is the first page of a free block in its zone."""
    return buddy_order(page) >= 0


@api(since="2.6")
def PageHighMem(k: Kernel, page: Page) -> bool:
    """Return whether the page has no address of its own and needs ``kmap()``."""
    return k.page_alloc.highmem.is_highmem(page)


@api(since="2.6.22")
def compound_head(k: Kernel, page: Page) -> Page:
    """Return the first page of the compound page that this page is part of, or the page itself."""
    return page.compound_head


@api(since="2.6")
def PageAnon(k: Kernel, page: Page) -> bool:
    """Whether the page is a process' own, no file's."""
    return is_anon(page)


__getattr__ = header_getattr(__name__, {"PageKsm", "PageSwapCache", "PageHuge", "PageTransHuge"})
__all__ = [
    "ClearPageActive",
    "ClearPageChecked",
    "ClearPageDirty",
    "ClearPageError",
    "ClearPageMappedToDisk",
    "ClearPagePrivate",
    "ClearPagePrivate2",
    "ClearPageReadahead",
    "ClearPageReclaim",
    "ClearPageReferenced",
    "ClearPageReserved",
    "ClearPageSwapBacked",
    "ClearPageUptodate",
    "PG_active",
    "PG_dirty",
    "PG_error",
    "PG_head",
    "PG_locked",
    "PG_lru",
    "PG_mappedtodisk",
    "PG_mlocked",
    "PG_owner_priv_1",
    "PG_private",
    "PG_private_2",
    "PG_reclaim",
    "PG_referenced",
    "PG_reserved",
    "PG_slab",
    "PG_swapbacked",
    "PG_unevictable",
    "PG_uptodate",
    "PG_workingset",
    "PG_writeback",
    "PageActive",
    "PageAnon",
    "PageBuddy",
    "PageChecked",
    "PageCompound",
    "PageDirty",
    "PageError",
    "PageHead",
    "PageHighMem",
    "PageLRU",
    "PageLocked",
    "PageMappedToDisk",
    "PageMlocked",
    "PagePrivate",
    "PagePrivate2",
    "PageReadahead",
    "PageReclaim",
    "PageReferenced",
    "PageReserved",
    "PageSlab",
    "PageSwapBacked",
    "PageTail",
    "PageUnevictable",
    "PageUptodate",
    "PageWorkingset",
    "PageWriteback",
    "SetPageActive",
    "SetPageChecked",
    "SetPageDirty",
    "SetPageError",
    "SetPageMappedToDisk",
    "SetPagePrivate",
    "SetPagePrivate2",
    "SetPageReadahead",
    "SetPageReclaim",
    "SetPageReferenced",
    "SetPageReserved",
    "SetPageSwapBacked",
    "SetPageUptodate",
    "TestClearPageDirty",
    "TestSetPageDirty",
    "compound_head",
]
