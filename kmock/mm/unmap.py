"""Pages leave an address space (``zap_pte_range()`` and ``print_bad_pte()`` of ``mm/memory.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.hw.mmu import PTE_ACCESSED, PTE_DIRTY, PTE_PFN_MASK, PTE_SPECIAL
from kmock.mm.debug import dump_page, pointer_value
from kmock.mm.mm_struct import PTE_SOFT_PRESENT
from kmock.mm.page_writeback import set_page_dirty
from kmock.mm.rmap import is_anon, mark_page_accessed, put_user_page, remove_rmap
from kmock.mm.track_pfn import untrack_pfn
from kmock.mm.vm_fault import ZERO_PFN
from kmock.mm.vm_flags import VM_MIXEDMAP, VM_PFNMAP, VM_SEQ_READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct

PMD_SIZE: Final = 1 << 21


def vm_normal_page(vma: vm_area_struct, address: int, entry: int) -> Page | None:
    """``vm_normal_page()``: return the page that an entry counts for, None where it only shows a frame."""
    k = vma.vm_mm.kernel
    pfn = (entry & PTE_PFN_MASK) >> 12
    if entry & PTE_SPECIAL:
        ops = vma.vm_ops
        if ops is not None and ops.find_special_page is not None:
            found: Page | None = ops.find_special_page(vma, address)
            return found
        if not vma.vm_flags & (VM_PFNMAP | VM_MIXEDMAP) and pfn != ZERO_PFN:
            print_bad_pte(vma, address, entry, None)
        return None
    if not k.memmap.valid(pfn):
        print_bad_pte(vma, address, entry, None)
        return None
    return k.memmap.page(pfn)


def zap_range(vma: vm_area_struct, start: int, end: int, keep: Callable[[Page | None], bool] | None = None) -> None:
    """``zap_pte_range()``: take the pages of ``[start, end)`` away, but those that ``keep`` says yes to.

    References are dropped when all entries are gone, as the mmu_gather does.
    """
    mm = vma.vm_mm
    pages: list[Page] = []
    for address in mm.mapped(max(start, vma.vm_start), min(end, vma.vm_end)):
        entry = mm.pgd.entries[address >> 12]
        if not entry & PTE_SOFT_PRESENT:
            continue
        page = vm_normal_page(vma, address, entry)
        if keep is not None and keep(page):
            continue
        mm.clear_pte(address)
        if page is None:
            continue
        if not is_anon(page):
            if entry & PTE_DIRTY:
                set_page_dirty(page)
            if entry & PTE_ACCESSED and not vma.vm_flags & VM_SEQ_READ:
                mark_page_accessed(page)
        remove_rmap(mm, page)
        if page._mapcount < -1:
            print_bad_pte(vma, address, entry, page)
        pages.append(page)
    for page in pages:
        put_user_page(mm.kernel, page)


def unmap_vmas(mm: mm_struct, vmas: list[vm_area_struct]) -> None:
    """``unmap_vmas()``: take all pages of the areas away."""
    mm.hiwater_rss = max(mm.hiwater_rss, sum(mm.rss))
    mm.hiwater_vm = max(mm.hiwater_vm, mm.total_vm)
    for vma in vmas:
        untrack_pfn(vma)
        zap_range(vma, vma.vm_start, vma.vm_end)


def free_pgtables(mm: mm_struct, vmas: list[vm_area_struct], floor: int, ceiling: int) -> None:
    """``free_pgtables()``: free the page tables of areas that are gone, where nobody else needs them."""
    groups: list[tuple[int, int]] = []
    for vma in vmas:
        if groups and vma.vm_start <= groups[-1][1] + PMD_SIZE:
            groups[-1] = groups[-1][0], vma.vm_end
        else:
            groups.append((vma.vm_start, vma.vm_end))
    tops = [start for start, _ in groups[1:]] + [ceiling]
    for (start, end), top in zip(groups, tops, strict=True):
        mm.free_tables(start, end, floor, top)


def print_bad_pte(vma: vm_area_struct, address: int, entry: int, page: Page | None) -> None:
    """``print_bad_pte()``: the page table holds a page that can't be there."""
    k: Kernel = vma.vm_mm.kernel
    file = vma.vm_file
    mapping = file.f_mapping if file is not None else None
    lines = dump_page(page, "bad pte") if page is not None else []
    lines.append(
        f"addr:{address:016x} vm_flags:{vma.vm_flags:08x} anon_vma:{pointer_value(vma.anon_vma):016x} "
        f"mapping:{pointer_value(mapping):016x} index:{vma.pgoff_of(address):x}"
    )
    fault = vma.vm_ops.fault if vma.vm_ops is not None else None
    handler = file.f_op.mmap if file is not None else None
    lines.append(f"file:{_name(file)} fault:{_symbol(fault)} mmap:{_symbol(handler)} read_folio:0x0")
    k.report(
        "page-free-mapped",
        f"BUG: Bad page map in process {k.current.comm}  pte:{entry:016x} pmd:{0x67:016x}",
        lines=lines,
        stacks=k.page_alloc.bad.blamed(page) if page is not None else None,
        key=(page, "mapped") if page is not None else None,
        taint="B",
    )


def _name(file: object) -> str:
    return str(getattr(file, "path", "(null)")).rpartition("/")[2]


def _symbol(function: object) -> str:
    return "0x0" if function is None else str(getattr(function, "__name__", "?"))
