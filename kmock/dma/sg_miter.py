"""Walking a scatterlist page by page, mapped (``lib/scatterlist.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.dma.scatterlist import Sgl, pieces
from kmock.lang.ptr import NULL, Ptr

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page

SG_MITER_ATOMIC: Final = 1 << 0
SG_MITER_TO_SG: Final = 1 << 1
SG_MITER_FROM_SG: Final = 1 << 2


class sg_mapping_iter:
    """``struct sg_mapping_iter``: ``addr`` and ``length`` say what is mapped, ``consumed`` how much of it was used."""

    def __init__(self) -> None:
        self.page: Page | None = None
        self.addr: Ptr = NULL
        self.length = 0
        self.consumed = 0
        self.left: list[tuple[Page, int, int]] = []
        """Page, offset and length of what is to come."""
        self.flags = 0
        self.mapped: Ptr = NULL


def start(k: Kernel, miter: sg_mapping_iter, sgl: Sgl, nents: int, flags: int) -> None:
    """``sg_miter_start()``."""
    miter.__init__()  # type: ignore[misc]  # C's memset
    miter.flags = flags
    miter.left = list(pieces(k, sgl, nents, 0, 1 << 62))


def skip(k: Kernel, miter: sg_mapping_iter, n: int) -> bool:
    """``sg_miter_skip()``: leave out ``n`` bytes; whether there were so many."""
    stop(k, miter)
    while n and miter.left:
        page, offset, length = miter.left[0]
        m = min(n, length)
        n -= m
        miter.left[:1] = [(page, offset + m, length - m)] if m < length else []
    return not n


def advance(k: Kernel, miter: sg_mapping_iter) -> bool:
    """``sg_miter_next()``: map the next piece; whether there is one."""
    stop(k, miter)
    if not miter.left:
        return False
    highmem = k.page_alloc.highmem
    page, offset, length = miter.left[0]
    miter.page = page
    miter.consumed = miter.length = length
    miter.mapped = highmem.kmap_local(page, atomic=True) if miter.flags & SG_MITER_ATOMIC else highmem.kmap(page)
    miter.addr = miter.mapped + offset
    return True


def stop(k: Kernel, miter: sg_mapping_iter) -> None:
    """``sg_miter_stop()``: unmap; what was not consumed comes again."""
    if not miter.addr or miter.page is None:
        return
    if miter.consumed > miter.length:
        k.warn("driver-warning", "lib/scatterlist.c:916", "sg_miter_stop")
    page, offset, length = miter.left[0]
    rest = length - miter.consumed
    miter.left[:1] = [(page, offset + miter.consumed, rest)] if rest > 0 else []
    highmem = k.page_alloc.highmem
    if miter.flags & SG_MITER_ATOMIC:
        highmem.kunmap_local(miter.mapped, atomic=True)
    else:
        highmem.kunmap(page)
    miter.page, miter.addr, miter.mapped = None, NULL, NULL
    miter.length = miter.consumed = 0
