"""``<linux/highmem.h>``: addresses for pages that may have none of their own.

``kunmap`` takes the page, ``kunmap_local`` and ``kunmap_atomic`` take the address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.page_flags import PageHighMem
from kmock.mm.layout import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.page import Page


# enum km_type: the slots that kmap_atomic() up to 2.6.36 wants to be told.
KM_BOUNCE_READ, KM_SKB_SUNRPC_DATA, KM_SKB_DATA_SOFTIRQ, KM_USER0, KM_USER1, KM_BIO_SRC_IRQ, KM_BIO_DST_IRQ = range(7)
KM_PTE0, KM_PTE1, KM_IRQ0, KM_IRQ1, KM_SOFTIRQ0, KM_SOFTIRQ1 = range(7, 13)


@api(since="2.3", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="kunmap")
def kmap(k: Kernel, page: Page) -> Ptr:
    """Map a page for as long as it takes; sleeps until an address is free."""
    return k.page_alloc.highmem.kmap(page)


@api(since="2.3", illegal=Where.INTERRUPT)
def kunmap(k: Kernel, page: Page) -> None:
    """Undo :func:`kmap`; takes the page, not the address."""
    k.page_alloc.highmem.kunmap(page)


@api(since="2.4", undo="kunmap_atomic")
def kmap_atomic(k: Kernel, page: Page, type: int = 0) -> Ptr:
    """Map a page for a moment: no sleeping until it is unmapped. ``type`` is a slot's number up to 2.6.36."""
    return k.page_alloc.highmem.kmap_local(page, atomic=True)


@api(since="2.4")
def kunmap_atomic(k: Kernel, addr: int, type: int = 0) -> None:
    """Undo :func:`kmap_atomic`, the last one first; takes the address."""
    k.page_alloc.highmem.kunmap_local(addr, atomic=True)


@api(since="5.11", undo="kunmap_local")
def kmap_local_page(k: Kernel, page: Page) -> Ptr:
    """Map a page for this task alone."""
    return k.page_alloc.highmem.kmap_local(page)


@api(since="5.11", undo="kunmap_local")
def kmap_local_pfn(k: Kernel, pfn: int) -> Ptr:
    """Map a page frame for this task alone."""
    return k.page_alloc.highmem.kmap_local(k.memmap.page(pfn))


@api(since="5.11")
def kunmap_local(k: Kernel, addr: int) -> None:
    """Undo :func:`kmap_local_page`, the last one first; takes the address."""
    k.page_alloc.highmem.kunmap_local(addr)


# -- whole and partial pages --------------------------------------------------------------------------------------


@api(since="2.4")
def clear_highpage(k: Kernel, page: Page) -> None:
    """Zero a page."""
    _fill(k, page, 0, 0, PAGE_SIZE, 0)


@api(since="2.4")
def zero_user(k: Kernel, page: Page, start: int, size: int) -> None:
    """Zero ``size`` bytes of a page from ``start`` on."""
    _fill(k, page, start, 0, size, 396)


@api(since="5.11")
def memzero_page(k: Kernel, page: Page, offset: int, len: int) -> None:
    """Zero ``len`` bytes of a page."""
    _fill(k, page, offset, 0, len, 412)


@api(since="5.11")
def memset_page(k: Kernel, page: Page, offset: int, val: int, len: int) -> None:
    """Fill ``len`` bytes of a page with a value."""
    _fill(k, page, offset, val, len, 382)


@api(since="5.11")
def memcpy_to_page(k: Kernel, page: Page, offset: int, from_: Ptr, len: int) -> None:
    """Copy memory into a page."""
    _check_range(k, offset, len, 402)
    with _Mapped(k, page) as p:
        k.mem.copy(p + offset, from_, len)


@api(since="5.11")
def memcpy_from_page(k: Kernel, to: Ptr, page: Page, offset: int, len: int) -> None:
    """Copy memory out of a page."""
    _check_range(k, offset, len, 392)
    with _Mapped(k, page) as p:
        k.mem.copy(to, p + offset, len)


@api(since="2.4")
def copy_highpage(k: Kernel, to: Page, from_: Page) -> None:
    """Copy a page."""
    with _Mapped(k, from_) as source, _Mapped(k, to) as target:
        k.mem.copy(target, source, PAGE_SIZE)


def _fill(k: Kernel, page: Page, offset: int, value: int, n: int, line: int) -> None:
    _check_range(k, offset, n, line)
    with _Mapped(k, page) as p:
        k.mem.fill(p, offset, value, n)


def _check_range(k: Kernel, offset: int, n: int, line: int) -> None:
    if offset + n > PAGE_SIZE and k.config.debug_vm:
        k.bug("page-out-of-bounds", f"include/linux/highmem.h:{line}")


class _Mapped:
    """A page's address for the length of a ``with`` block."""

    __slots__ = ("_k", "_p", "_page")

    def __init__(self, k: Kernel, page: Page) -> None:
        self._k = k
        self._page = page

    def __enter__(self) -> Ptr:
        self._p = self._k.page_alloc.highmem.kmap_local(self._page)
        return self._p

    def __exit__(self, *exc: object) -> None:
        self._k.page_alloc.highmem.kunmap_local(self._p)


__getattr__ = header_getattr(__name__, {"kmap_local_folio", "alloc_zeroed_user_highpage_movable", "kmap_flush_unused"})
__all__ = [
    "KM_BIO_DST_IRQ",
    "KM_BIO_SRC_IRQ",
    "KM_BOUNCE_READ",
    "KM_IRQ0",
    "KM_IRQ1",
    "KM_PTE0",
    "KM_PTE1",
    "KM_SKB_DATA_SOFTIRQ",
    "KM_SKB_SUNRPC_DATA",
    "KM_SOFTIRQ0",
    "KM_SOFTIRQ1",
    "KM_USER0",
    "KM_USER1",
    "PageHighMem",
    "clear_highpage",
    "copy_highpage",
    "kmap",
    "kmap_atomic",
    "kmap_local_page",
    "kmap_local_pfn",
    "kunmap",
    "kunmap_atomic",
    "kunmap_local",
    "memcpy_from_page",
    "memcpy_to_page",
    "memset_page",
    "memzero_page",
    "zero_user",
]
