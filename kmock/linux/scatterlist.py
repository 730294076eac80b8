"""``<linux/scatterlist.h>``: runs of memory that a device takes as one.

``struct scatterlist sg[3]`` is ``sg = [scatterlist() for _ in range(3)]``, and a single one stands for an array of one.
``for_each_sg(sgl, nents)`` yields what C's macro assigns: the entry and its number. ``sg_dma_address(sg) = x`` is
``sg.dma_address = x``, ``sg_dma_len(sg) = n`` is ``sg.dma_length = n``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.current import current
from kmock.dma import scatterlist as _sg
from kmock.dma import sg_miter as _miter
from kmock.dma.scatterlist import SG_MAX_SINGLE_ALLOC, UINT_MAX, scatterlist, sg_table
from kmock.dma.sg_miter import SG_MITER_ATOMIC, SG_MITER_FROM_SG, SG_MITER_TO_SG, sg_mapping_iter
from kmock.lang.ptr import NULL, Ptr
from kmock.lang.struct import as_ptr
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kmock.dma.scatterlist import Sgl
    from kmock.machine import Kernel
    from kmock.mm.page import Page

SG_CHUNK_SIZE: Final = 128
SG_MAX_SEGMENTS: Final = 2048


def _p(addr: Any) -> Ptr:
    return addr if addr.__class__ is Ptr else NULL if addr is None else as_ptr(addr)


# -- entries --------------------------------------------------------------------------------------------------------


@api(since="2.6.24")
def sg_init_table(k: Kernel, sgl: Sgl, nents: int) -> None:
    """Clear ``nents`` entries and mark the last as the end."""
    _sg.init_table(sgl, nents)


@api(since="2.6.24")
def sg_init_one(k: Kernel, sg: Sgl, buf: int, buflen: int) -> None:
    """Make a list of one entry, for ``buflen`` bytes at ``buf``."""
    _sg.init_table(sg, 1)
    _sg.set_buf(k, _sg.first_of(sg), _p(buf), buflen)


@api(since="2.6.24")
def sg_set_buf(k: Kernel, sg: scatterlist, buf: int, buflen: int) -> None:
    """Let an entry stand for ``buflen`` bytes at ``buf``, of the direct map."""
    _sg.set_buf(k, sg, _p(buf), buflen)


@api(since="2.6.24")
def sg_set_page(k: Kernel, sg: scatterlist, page: Page, len: int, offset: int) -> None:
    """Let an entry stand for ``len`` bytes from ``offset`` of a page."""
    _sg.assign_page(k, sg, page)
    sg.offset = offset
    sg.length = len


@api(since="2.6.24")
def sg_assign_page(k: Kernel, sg: scatterlist, page: Page) -> None:
    """Give an entry its page, and leave offset and length alone."""
    _sg.assign_page(k, sg, page)


@api(since="2.6.24")
def sg_page(k: Kernel, sg: scatterlist) -> Page:
    """The page that the entry's run begins in."""
    return _sg.page_of(k, sg)


@api(since="2.6.24")
def sg_virt(k: Kernel, sg: scatterlist) -> Ptr:
    """The kernel's address of the run; of no use for highmem."""
    return _sg.virtual(k, sg)


@api(since="2.6.24")
def sg_phys(k: Kernel, sg: scatterlist) -> int:
    """The physical address of the run."""
    return _sg.page_of(k, sg).phys + sg.offset


def sg_dma_address(sg: scatterlist) -> int:
    """The device's address of a segment, once the list is mapped."""
    return sg.dma_address


def sg_dma_len(sg: scatterlist) -> int:
    """The length of a segment, once the list is mapped."""
    return sg.dma_length


def sg_mark_end(sg: scatterlist) -> None:
    """Make an entry the last."""
    sg.ready = sg.end = True
    sg.chained = None


def sg_unmark_end(sg: scatterlist) -> None:
    """Let the list go on behind an entry."""
    sg.end = False


def sg_is_last(sg: scatterlist) -> bool:
    """Whether an entry is the last."""
    return sg.end


def sg_is_chain(sg: scatterlist) -> bool:
    """Whether an entry is a link to another array."""
    return sg.chained is not None


def sg_chain_ptr(sg: scatterlist) -> scatterlist | Ptr:
    """Where a link leads; NULL for an entry that is none."""
    return NULL if sg.chained is None else sg.chained


# -- lists ----------------------------------------------------------------------------------------------------------


@api(since="2.6.24")
def sg_next(k: Kernel, sg: scatterlist) -> scatterlist | Ptr:
    """The next entry, past links; NULL behind the last."""
    found = _sg.next_of(k, sg)
    return NULL if found is None else found


@api(since="2.6.24")
def sg_chain(k: Kernel, prv: Sgl, prv_nents: int, sgl: Sgl) -> None:
    """Turn the last of the ``prv_nents`` entries of ``prv`` into a link to ``sgl``."""
    _sg.chain(prv, prv_nents, sgl)


@api(since="2.6.24")
def sg_last(k: Kernel, sgl: Sgl, nents: int) -> scatterlist:
    """The last of ``nents`` entries."""
    return list(_sg.walk(k, sgl, nents))[-1]


@api(since="3.3")
def sg_nents(k: Kernel, sg: Sgl) -> int:
    """How many entries there are up to the end."""
    return sum(1 for _ in _sg.entries(k, sg))


@api(since="3.17")
def sg_nents_for_len(k: Kernel, sg: Sgl, len: int) -> int:
    """How many entries it takes for ``len`` bytes; -EINVAL where the list is shorter."""
    total = 0
    for i, one in enumerate(_sg.entries(k, sg) if len else (), 1):
        total += one.length
        if total >= len:
            return i
    return -22 if len else 0


def for_each_sg(sglist: Sgl, nr: int) -> Iterator[tuple[scatterlist, int]]:
    """C's ``for_each_sg(sglist, sg, nr, i)``: yield the first ``nr`` entries, each with its number."""
    return ((sg, i) for i, sg in enumerate(_sg.walk(current.get(), sglist, nr)))


def for_each_sgtable_sg(sgt: sg_table) -> Iterator[tuple[scatterlist, int]]:
    """Yield every entry of a table, as the processor has them, with its number."""
    return for_each_sg(sgt.sgl, sgt.orig_nents) if sgt.sgl is not None else iter(())


def for_each_sgtable_dma_sg(sgt: sg_table) -> Iterator[tuple[scatterlist, int]]:
    """Yield every mapped segment of a table, as the device has them, with its number."""
    return for_each_sg(sgt.sgl, sgt.nents) if sgt.sgl is not None else iter(())


# -- tables ---------------------------------------------------------------------------------------------------------


@api(since="2.6.24", sleeps=Sleeps.GFP, undo="sg_free_table", fails=True)
def sg_alloc_table(k: Kernel, table: sg_table, nents: int, gfp_mask: int) -> int:
    """Make a list of ``nents`` entries, chained where they don't fit in a page: 0, -EINVAL for none, -ENOMEM."""
    return _sg.alloc_table(k, table, nents, gfp_mask)


@api(since="2.6.24")
def sg_free_table(k: Kernel, table: sg_table) -> None:
    """Free the list of a table."""
    _sg.free_table(k, table)


@api(since="3.6", sleeps=Sleeps.GFP, undo="sg_free_table", fails=True)
def sg_alloc_table_from_pages(
    k: Kernel, sgt: sg_table, pages: Sequence[Page], n_pages: int, offset: int, size: int, gfp_mask: int
) -> int:
    """Make a table of ``size`` bytes from ``offset`` of the first page, neighbouring pages as one entry: 0, or -errno."""
    return _sg.table_from_pages(k, sgt, pages[:n_pages], offset, size, UINT_MAX, gfp_mask)


@api(since="5.16", sleeps=Sleeps.GFP, undo="sg_free_table", fails=True)
def sg_alloc_table_from_pages_segment(
    k: Kernel,
    sgt: sg_table,
    pages: Sequence[Page],
    n_pages: int,
    offset: int,
    size: int,
    max_segment: int,
    gfp_mask: int,
) -> int:
    """``sg_alloc_table_from_pages()`` with entries of at most ``max_segment`` bytes."""
    return _sg.table_from_pages(k, sgt, pages[:n_pages], offset, size, max_segment, gfp_mask)


# -- contents -------------------------------------------------------------------------------------------------------


@api(since="2.6.27")
def sg_copy_from_buffer(k: Kernel, sgl: Sgl, nents: int, buf: int, buflen: int) -> int:
    """Copy a buffer into a list; return how many bytes fitted."""
    return _sg.copy(k, sgl, nents, _p(buf), buflen, 0, to_buffer=False)


@api(since="2.6.27")
def sg_copy_to_buffer(k: Kernel, sgl: Sgl, nents: int, buf: int, buflen: int) -> int:
    """Copy a list into a buffer; return how many bytes there were."""
    return _sg.copy(k, sgl, nents, _p(buf), buflen, 0, to_buffer=True)


@api(since="3.11")
def sg_pcopy_from_buffer(k: Kernel, sgl: Sgl, nents: int, buf: int, buflen: int, skip: int) -> int:
    """``sg_copy_from_buffer()`` from byte ``skip`` of the list on."""
    return _sg.copy(k, sgl, nents, _p(buf), buflen, skip, to_buffer=False)


@api(since="3.11")
def sg_pcopy_to_buffer(k: Kernel, sgl: Sgl, nents: int, buf: int, buflen: int, skip: int) -> int:
    """``sg_copy_to_buffer()`` from byte ``skip`` of the list on."""
    return _sg.copy(k, sgl, nents, _p(buf), buflen, skip, to_buffer=True)


@api(since="4.14")
def sg_zero_buffer(k: Kernel, sgl: Sgl, nents: int, buflen: int, skip: int) -> int:
    """Zero ``buflen`` bytes of a list from byte ``skip`` on; return how many there were."""
    return _sg.copy(k, sgl, nents, None, buflen, skip, to_buffer=False)


@api(since="2.6.32")
def sg_miter_start(k: Kernel, miter: sg_mapping_iter, sgl: Sgl, nents: int, flags: int) -> None:
    """Begin to walk a list page by page."""
    _miter.start(k, miter, sgl, nents, flags)


@api(since="3.11")
def sg_miter_skip(k: Kernel, miter: sg_mapping_iter, offset: int) -> bool:
    """Leave out ``offset`` bytes; whether there were so many."""
    return _miter.skip(k, miter, offset)


@api(since="2.6.32")
def sg_miter_next(k: Kernel, miter: sg_mapping_iter) -> bool:
    """Map the next piece at ``miter.addr``, ``miter.length`` bytes; whether there is one."""
    return _miter.advance(k, miter)


@api(since="2.6.32")
def sg_miter_stop(k: Kernel, miter: sg_mapping_iter) -> None:
    """Unmap the piece; what ``miter.consumed`` leaves of it comes again."""
    _miter.stop(k, miter)


__getattr__ = header_getattr(__name__)
__all__ = [
    "SG_CHUNK_SIZE",
    "SG_MAX_SEGMENTS",
    "SG_MAX_SINGLE_ALLOC",
    "SG_MITER_ATOMIC",
    "SG_MITER_FROM_SG",
    "SG_MITER_TO_SG",
    "for_each_sg",
    "for_each_sgtable_dma_sg",
    "for_each_sgtable_sg",
    "scatterlist",
    "sg_alloc_table",
    "sg_alloc_table_from_pages",
    "sg_alloc_table_from_pages_segment",
    "sg_assign_page",
    "sg_chain",
    "sg_chain_ptr",
    "sg_copy_from_buffer",
    "sg_copy_to_buffer",
    "sg_dma_address",
    "sg_dma_len",
    "sg_free_table",
    "sg_init_one",
    "sg_init_table",
    "sg_is_chain",
    "sg_is_last",
    "sg_last",
    "sg_mapping_iter",
    "sg_mark_end",
    "sg_miter_next",
    "sg_miter_skip",
    "sg_miter_start",
    "sg_miter_stop",
    "sg_nents",
    "sg_nents_for_len",
    "sg_next",
    "sg_page",
    "sg_pcopy_from_buffer",
    "sg_pcopy_to_buffer",
    "sg_phys",
    "sg_set_buf",
    "sg_set_page",
    "sg_table",
    "sg_unmark_end",
    "sg_virt",
    "sg_zero_buffer",
]
