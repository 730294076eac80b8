"""``struct vm_area_struct``: one area of a process' address space, and what its driver does for it.

``include/linux/mm_types.h``, ``include/linux/mm.h``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.hw.mmu import PTE_ACCESSED, PTE_DIRTY, PTE_PAT, PTE_PCD, PTE_PFN_MASK, PTE_PWT, PTE_SPECIAL
from kmock.lang.optable import OpTable
from kmock.mm.vm_flags import VM_PFNMAP, VM_SHARED, VM_WRITE, vm_get_page_prot

if TYPE_CHECKING:
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.rmap import AnonVma

PAGE_CHG_MASK: Final = PTE_PFN_MASK | PTE_PAT | PTE_PCD | PTE_PWT | PTE_SPECIAL | PTE_ACCESSED | PTE_DIRTY
"""What of an entry stays when its protection changes (``_PAGE_CHG_MASK``)."""


class vm_operations_struct(OpTable):
    """What a driver does for its areas. Every field may be left out; ``nopage`` is the one of kernels before 2.6.26."""

    fields = (
        "open",
        "close",
        "may_split",
        "mremap",
        "mprotect",
        "fault",
        "huge_fault",
        "map_pages",
        "pagesize",
        "page_mkwrite",
        "pfn_mkwrite",
        "access",
        "name",
        "set_policy",
        "get_policy",
        "find_special_page",
        "nopage",
    )

    @property
    def handler(self) -> Any:
        """What brings a page that isn't there, whichever generation's it is."""
        return self.fault or self.nopage


class vm_area_struct:
    """An area of a process' address space, ``[vm_start, vm_end)``."""

    __slots__ = (
        "__weakref__",
        "anon_vma",
        "vm_end",
        "vm_file",
        "vm_flags",
        "vm_mm",
        "vm_ops",
        "vm_page_prot",
        "vm_pgoff",
        "vm_private_data",
        "vm_start",
    )

    def __init__(self, mm: mm_struct, start: int, end: int, flags: int, file: Any = None, pgoff: int = 0) -> None:
        self.vm_mm = mm
        self.vm_start = start
        self.vm_end = end
        self.vm_flags = flags
        self.vm_page_prot = vm_get_page_prot(flags)
        self.vm_file = file
        self.vm_pgoff = pgoff
        self.vm_ops: vm_operations_struct | None = None
        self.vm_private_data: Any = None
        self.anon_vma: AnonVma | None = None
        """Set once the area has pages of its own."""

    def dup(self, mm: mm_struct) -> vm_area_struct:
        """``vm_area_dup()``: return the same area once more, in ``mm``."""
        new = vm_area_struct(mm, self.vm_start, self.vm_end, self.vm_flags, self.vm_file, self.vm_pgoff)
        new.vm_page_prot = self.vm_page_prot
        new.vm_ops = self.vm_ops
        new.vm_private_data = self.vm_private_data
        new.anon_vma = self.anon_vma
        return new

    @property
    def pages(self) -> int:
        """``vma_pages()``."""
        return (self.vm_end - self.vm_start) >> 12

    def pgoff_of(self, address: int) -> int:
        """``linear_page_index()``: the page of the mapped object that ``address`` shows."""
        return self.vm_pgoff + ((address - self.vm_start) >> 12)

    def __repr__(self) -> str:
        return f"<vma {self.vm_start:#x}-{self.vm_end:#x}>"


def pgprot_modify(old: int, new: int) -> int:
    """``pgprot_modify()``: protection ``new``, with the caching that ``old`` had."""
    return old & PAGE_CHG_MASK | new & ~PAGE_CHG_MASK


def wants_writenotify(vma: vm_area_struct, prot: int) -> bool:
    """``vma_wants_writenotify()``: whether somebody is to be asked before a page is first written to."""
    if vma.vm_flags & (VM_WRITE | VM_SHARED) != VM_WRITE | VM_SHARED:
        return False
    ops = vma.vm_ops
    if ops is not None and (ops.page_mkwrite is not None or ops.pfn_mkwrite is not None):
        return True
    if prot != pgprot_modify(prot, vm_get_page_prot(vma.vm_flags)) or vma.vm_flags & VM_PFNMAP:
        return False
    mapping = vma.vm_file.f_mapping if vma.vm_file is not None else None
    return mapping is not None and mapping.can_writeback


def set_page_prot(vma: vm_area_struct) -> None:
    """``vma_set_page_prot()``: let ``vm_page_prot`` follow the flags."""
    prot = pgprot_modify(vma.vm_page_prot, vm_get_page_prot(vma.vm_flags))
    if wants_writenotify(vma, prot):
        prot = pgprot_modify(prot, vm_get_page_prot(vma.vm_flags & ~VM_SHARED))
    vma.vm_page_prot = prot
