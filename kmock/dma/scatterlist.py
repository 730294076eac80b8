"""Scatterlists (``include/linux/scatterlist.h``, ``lib/scatterlist.c``): runs of memory that a device takes as one.

C's array of ``struct scatterlist`` is a Python list of them. An entry knows its array, as C's pointer does.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from kmock.dma.vet import physical, valid
from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm.page_addr import free_pages, get_free_pages
from kmock.sanitizers.describe import origin_stacks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kmock.machine import Kernel
    from kmock.mm.page import Page

SIZEOF: Final = 32
"""``sizeof(struct scatterlist)``."""
SG_MAX_SINGLE_ALLOC: Final = 4096 // SIZEOF
UINT_MAX: Final = (1 << 32) - 1
_PAGE: Final = 4096


class scatterlist:
    """``struct scatterlist``: one run of memory, or the link to another array of them."""

    __slots__ = (
        "_page",
        "array",
        "chained",
        "dma_address",
        "dma_length",
        "end",
        "failed",
        "index",
        "length",
        "misplaced",
        "offset",
        "ready",
    )

    C_SIZE = SIZEOF

    def __init__(self) -> None:
        self.array: Sequence[scatterlist] = [self]
        self.index = 0
        self.ready = False
        """Whether it was initialised, by ``sg_init_table()`` or by hand."""
        self.clear()

    def clear(self) -> None:
        """All bytes zero."""
        self._page: Page | None = None
        self.offset = 0
        self.length = 0
        self.dma_address = 0
        self.dma_length = 0
        self.end = False
        """The last one (SG_END)."""
        self.chained: scatterlist | None = None
        """The array that this link leads to (SG_CHAIN)."""
        self.failed = False
        """Whether the list that it begins could not be mapped."""
        self.misplaced = False
        """Whether it was given memory outside of the direct map, and that was reported."""

    @property
    def phys(self) -> int:
        """``sg_phys()`` without a look."""
        return (self._page.phys if self._page is not None else 0) + self.offset

    def __repr__(self) -> str:
        if self.chained is not None:
            return "<scatterlist link>"
        return f"<scatterlist {self.phys:#x}+{self.length}>"


class sg_table:
    """``struct sg_table``: a list, how many entries are mapped, and how many there are."""

    C_SIZE = 16

    def __init__(self) -> None:
        self.sgl: scatterlist | None = None
        self.nents = 0
        self.orig_nents = 0
        self.memory: list[tuple[Ptr, int]] = []
        """What the arrays lie in, and how many entries each has."""


Sgl = scatterlist | list[scatterlist]


def first_of(sgl: Sgl) -> scatterlist:
    """The entry that C's pointer to an array points to."""
    if isinstance(sgl, scatterlist):
        return sgl
    if sgl and not sgl[0].ready:
        for i, sg in enumerate(sgl):
            sg.array, sg.index = sgl, i
    return sgl[0]


# -- setting up ---------------------------------------------------------------------------------------------------


def init_table(sgl: Sgl, nents: int) -> None:
    """``sg_init_table()``: clear ``nents`` entries, and mark the last as the end."""
    array = sgl if isinstance(sgl, list) else sgl.array[sgl.index : sgl.index + nents]
    for i, sg in enumerate(array):
        sg.array, sg.index = array, i
        if i < nents:
            sg.clear()
            sg.ready = True
    array[nents - 1].end = True


def assign_page(k: Kernel, sg: scatterlist, page: Page) -> None:
    """``sg_assign_page()``."""
    if sg.chained is not None:
        _chain_misuse(k, "sg_assign_page", 117)
    sg._page = page


def page_of(k: Kernel, sg: scatterlist, by: str = "sg_page") -> Page:
    """``sg_page()``."""
    if sg.chained is not None:
        _chain_misuse(k, by, 147)
    if sg._page is None:
        k.kasan.page_fault(0, write=False, origin=None, by=by, n=8)
    return sg._page


def _chain_misuse(k: Kernel, by: str, line: int) -> None:
    """``BUG_ON(sg_is_chain(sg))`` with CONFIG_DEBUG_SG; without it the link is taken for a page."""
    stack = k.capture()
    k.die(
        "dma-sg-chain-misuse",
        f"kernel BUG at include/linux/scatterlist.h:{line}!",
        lines=[f"invalid opcode: 0000 [#{k.oopses + 1}] {k.build}", f"{by}() of a link to another list"],
        stacks={"access": stack},
    )


def set_buf(k: Kernel, sg: scatterlist, buf: int, length: int) -> None:
    """``sg_set_buf()``: the entry stands for ``length`` bytes at kernel address ``buf``, which must be of the direct map."""
    address = int(buf)
    if not valid(k, address):
        _not_linear(k, sg, buf)
    phys = physical(k, address)
    assign_page(k, sg, k.memmap.page(phys >> 12))
    sg.offset = phys % _PAGE
    sg.length = length


def _not_linear(k: Kernel, sg: scatterlist, buf: int) -> None:
    sg.misplaced = True
    about = getattr(buf, "origin", None) or k.mem.owner(int(buf))
    kind = "dma-map-not-linear"
    if k.layout.is_vmalloc(int(buf)):
        kind = "dma-map-stack" if about is not None and about.area == "stack" else "vmalloc-to-dma"
    stacks = {"access": k.capture(), **(origin_stacks(about) if about is not None else {})}
    headline = f"BUG: kmock: {kind} in {k.symbol(stacks['access'])}"
    lines = [f"address {int(buf):#x} is not of the direct map: its page can't be computed from it"]
    k.report(kind, headline, lines=lines, stacks=stacks, key=(about or int(buf) >> 12, "sg"))


# -- walking ------------------------------------------------------------------------------------------------------


def next_of(k: Kernel, sg: scatterlist) -> scatterlist | None:
    """``sg_next()``: the next entry, past links; None behind the last."""
    if sg.end:
        return None
    at = sg.index + 1
    if at >= len(sg.array):
        _no_end(k)
        return None
    following = sg.array[at]
    return following.chained if following.chained is not None else following


def _no_end(k: Kernel) -> None:
    stack = k.capture()
    headline = f"BUG: kmock: dma-sg-uninit in {k.symbol(stack)}"
    k.report(
        "dma-sg-uninit",
        headline,
        lines=["the list has no end: call sg_init_table()"],
        stacks={"access": stack},
        key=stack,
    )


def walk(k: Kernel, sgl: Sgl, nents: int) -> Iterator[scatterlist]:
    """``for_each_sg()``: the first ``nents`` entries; NULL is dereferenced where there are fewer."""
    sg: scatterlist | None = first_of(sgl)
    for i in range(nents):
        if sg is None:
            k.kasan.page_fault(0, write=False, origin=None, by="sg_next", n=8)
        yield sg
        # Behind the last one nobody looks.
        sg = next_of(k, sg) if i + 1 < nents else None


def entries(k: Kernel, sgl: Sgl) -> Iterator[scatterlist]:
    """All entries up to the one that is marked as the end."""
    sg: scatterlist | None = first_of(sgl)
    while sg is not None:
        yield sg
        sg = next_of(k, sg)


def chain(prv: Sgl, prv_nents: int, sgl: Sgl) -> None:
    """``sg_chain()``: turn the last of ``prv_nents`` entries into a link to ``sgl``."""
    head = first_of(prv)
    link = head.array[head.index + prv_nents - 1]
    link.clear()
    link.ready = True
    link.chained = first_of(sgl)


# -- tables -------------------------------------------------------------------------------------------------------


def alloc_table(k: Kernel, table: sg_table, nents: int, gfp: int) -> int:
    """``sg_alloc_table()``: arrays for ``nents`` entries, chained where one page does not hold them; 0 or -errno."""
    table.sgl, table.nents, table.orig_nents, table.memory = None, 0, 0, []
    if not nents:
        return -errno.EINVAL
    left = nents
    before: list[scatterlist] = []
    while left:
        n = min(left, SG_MAX_SINGLE_ALLOC)
        used = n - 1 if left > SG_MAX_SINGLE_ALLOC else n
        memory = _alloc(k, n, gfp)
        if not memory:
            free_table(k, table)
            return -errno.ENOMEM
        table.memory.append((memory, n))
        array = [scatterlist() for _ in range(n)]
        init_table(array, n)
        left -= used
        table.orig_nents += used
        if before:
            chain(before, len(before), array)
        else:
            table.sgl = array[0]
        array[n - 1].end = not left
        before = array
    table.nents = table.orig_nents
    return 0


def _alloc(k: Kernel, n: int, gfp: int) -> Ptr:
    # sg_kmalloc()
    if n == SG_MAX_SINGLE_ALLOC:
        memory = get_free_pages(k, gfp, 0, "__get_free_pages")
    else:
        memory = k.slab.kmalloc(n * SIZEOF, gfp)
    if memory and memory.origin is not None:
        memory.origin.written = None
    return memory


def free_table(k: Kernel, table: sg_table) -> None:
    """``sg_free_table()``; nothing for a table without a list."""
    for memory, n in table.memory:
        if n == SG_MAX_SINGLE_ALLOC:
            free_pages(k, memory, 0)
        else:
            k.slab.kfree(memory)
    table.sgl, table.memory = None, []
    table.nents = table.orig_nents = 0


def runs_of(pages: Sequence[Page], offset: int, size: int, max_segment: int) -> list[tuple[Page, int, int]]:
    """Cut ``size`` bytes from ``offset`` of the first page into runs that are contiguous and not too long."""
    limit = max_segment & -_PAGE
    runs: list[tuple[Page, int, int]] = []
    before = -2
    for page in pages:
        n = min(_PAGE - offset, size)
        if runs and page.pfn == before + 1 and runs[-1][2] + n <= limit:
            head, at, length = runs[-1]
            runs[-1] = head, at, length + n
        else:
            runs.append((page, offset, n))
        before = page.pfn
        size -= n
        offset = 0
    return runs


def table_from_pages(
    k: Kernel, table: sg_table, pages: Sequence[Page], offset: int, size: int, max_segment: int, gfp: int
) -> int:
    """``sg_alloc_table_from_pages_segment()``: a table of as few entries as the pages allow; 0 or -errno."""
    if max_segment < _PAGE or offset >= _PAGE:
        return -errno.EINVAL
    runs = runs_of(pages, offset, size, max_segment)
    err = alloc_table(k, table, len(runs), gfp)
    if err or table.sgl is None:
        return err
    for sg, (page, at, length) in zip(entries(k, table.sgl), runs, strict=True):
        sg._page, sg.offset, sg.length = page, at, length
    return 0


# -- contents -----------------------------------------------------------------------------------------------------


def virtual(k: Kernel, sg: scatterlist) -> Ptr:
    """``sg_virt()``: the kernel's address of the run."""
    at: Any = k.page_alloc.highmem.page_address(page_of(k, sg, "sg_virt"))
    return at + sg.offset if at else NULL


def pieces(k: Kernel, sgl: Sgl, nents: int, skip: int, n: int) -> Iterator[tuple[Page, int, int]]:
    """Cut ``n`` bytes of a list, from byte ``skip`` on, at page frames: page, offset, length."""
    for sg in walk(k, sgl, nents):
        start = min(skip, sg.length)
        skip -= start
        page, at, left = page_of(k, sg), sg.offset + start, sg.length - start
        while left and n:
            m = min(_PAGE - at % _PAGE, left, n)
            yield page + (at >> 12), at % _PAGE, m
            at, left, n = at + m, left - m, n - m
        if not n:
            return


def copy(k: Kernel, sgl: Sgl, nents: int, buf: int | None, n: int, skip: int, *, to_buffer: bool) -> int:
    """``sg_copy_buffer()``: copy between a list and a buffer; return how many bytes. Without a buffer they are zeroed."""
    highmem = k.page_alloc.highmem
    done = 0
    for page, offset, m in pieces(k, sgl, nents, skip, n):
        mapped = highmem.kmap_local(page, atomic=True)
        there = mapped + offset
        here = make_ptr(int(buf) + done, getattr(buf, "origin", None)) if buf is not None else NULL
        if buf is None:
            k.mem.fill(there, 0, 0, m)
        elif to_buffer:
            k.mem.copy(here, there, m)
        else:
            k.mem.copy(there, here, m)
        highmem.kunmap_local(mapped, atomic=True)
        done += m
    return done
