"""A process' address space: its areas and its page table (``include/linux/mm_types.h``, ``mm/mmap.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from sortedcontainers import SortedDict

from kmock.hw.mmu import PTE_ACCESSED, PTE_DIRTY, PTE_NX, PTE_PRESENT, PTE_RW, PTE_USER, PageTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.mm.page import Page

VM_READ = 0x1
VM_WRITE = 0x2
VM_EXEC = 0x4
VM_SHARED = 0x8
VM_MAYREAD = 0x10
VM_MAYWRITE = 0x20
VM_MAYEXEC = 0x40
VM_MAYSHARE = 0x80

PAGE_SIZE = 4096
MMAP_GAP = PAGE_SIZE
"""Left free below every area, so that running past its neighbour faults."""

GFP_USER_PAGE = 0x100CCA | 0x100
"""GFP_HIGHUSER_MOVABLE | __GFP_ZERO, as ``mm/memory.c`` takes an anonymous page."""


class vm_area_struct:
    """An area of a process' address space, ``[vm_start, vm_end)``."""

    def __init__(self, mm: mm_struct, start: int, end: int, flags: int, file: Any = None, pgoff: int = 0) -> None:
        self.vm_mm = mm
        self.vm_start = start
        self.vm_end = end
        self.vm_flags = flags
        self.vm_file = file
        self.vm_pgoff = pgoff
        self.vm_ops: Any = None
        self.vm_private_data: Any = None

    def __repr__(self) -> str:
        return f"<vma {self.vm_start:#x}-{self.vm_end:#x}>"


class UserMemory:
    """What a process' pages belong to: no allocation of the kernel's, whatever address one looks at."""

    __slots__ = ()

    def probe(self, address: int) -> None:
        """There is no record at ``address``."""

    def live(self) -> tuple[()]:
        """No allocation of the kernel's lives here."""
        return ()


class mm_struct:
    """An address space. Pages come when they are first touched; the process' end gives them back."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.pgd = PageTable()
        self.vmas: SortedDict[int, vm_area_struct] = SortedDict()
        self.owner = UserMemory()
        # Two processes have nothing at one address: a pointer used in the wrong process doesn't go unseen.
        top = kernel.layout.task_size
        self.mmap_base = top - (kernel.random.randrange(1 << 12, top >> 14) << 12)

    # -- areas ------------------------------------------------------------------------------------

    def find_vma(self, address: int) -> vm_area_struct | None:
        """Return the area that ``address`` lies in."""
        at = self.vmas.bisect_right(address)
        vma: vm_area_struct | None = self.vmas.peekitem(at - 1)[1] if at else None
        return vma if vma is not None and address < vma.vm_end else None

    def maps(self, address: int) -> bool:
        """Whether the process has anything at ``address``."""
        return self.find_vma(address) is not None

    def mmap(self, length: int, flags: int, address: int = 0) -> vm_area_struct | int:
        """Make an anonymous area of ``length`` bytes; -errno where that can't be.

        ``address`` fixes its place and replaces what is there; 0 takes the highest free place.
        """
        length = (length + PAGE_SIZE - 1) & -PAGE_SIZE
        if not length:
            return -errno.EINVAL
        if not address:
            address = self.unmapped_area(length)
        elif address & (PAGE_SIZE - 1) or address + length > self.kernel.layout.task_size:
            return -errno.EINVAL
        else:
            self.munmap(address, length)
        if address <= 0:
            return -errno.ENOMEM
        vma = self.vmas[address] = vm_area_struct(self, address, address + length, flags)
        return vma

    def unmapped_area(self, length: int) -> int:
        """Return where ``length`` bytes fit, below everything else; 0 if nowhere."""
        lowest = self.vmas.peekitem(0)[0] if self.vmas else self.mmap_base
        return max(lowest - MMAP_GAP - length, 0)

    def munmap(self, address: int, length: int) -> int:
        """Take ``[address, address + length)`` out, splitting areas at its ends; 0 or -errno."""
        end = address + ((length + PAGE_SIZE - 1) & -PAGE_SIZE)
        if address & (PAGE_SIZE - 1) or end <= address:
            return -errno.EINVAL
        for vma in list(self._between(address, end)):
            self._cut(vma, address, end)
        return 0

    def exit(self) -> None:
        """``exit_mmap()``: give everything back."""
        for vma in list(self.vmas.values()):
            self._cut(vma, vma.vm_start, vma.vm_end)

    def _between(self, start: int, end: int) -> Iterator[vm_area_struct]:
        for vma in self.vmas.values():
            if vma.vm_start < end and start < vma.vm_end:
                yield vma

    def _cut(self, vma: vm_area_struct, start: int, end: int) -> None:
        del self.vmas[vma.vm_start]
        for part_start, part_end in ((vma.vm_start, start), (end, vma.vm_end)):
            if part_start < part_end:
                pgoff = vma.vm_pgoff + ((part_start - vma.vm_start) >> 12)
                part = vm_area_struct(self, part_start, part_end, vma.vm_flags, vma.vm_file, pgoff)
                part.vm_ops, part.vm_private_data = vma.vm_ops, vma.vm_private_data
                self.vmas[part_start] = part
        for vpn in range(max(start, vma.vm_start) >> 12, min(end, vma.vm_end) >> 12):
            self._zap(vpn)

    def _zap(self, vpn: int) -> None:
        entry = self.pgd.unmap(vpn)
        if entry & PTE_PRESENT:
            k = self.kernel
            page = k.memmap.page((entry >> 12) & 0xFF_FFFF_FFFF)
            page._mapcount -= 1
            k.page_alloc.free_pages(page, 0)

    # -- faults -----------------------------------------------------------------------------------

    def present(self, address: int, *, write: bool) -> int | None:
        """Return the physical address behind ``address``, None where the MMU would fault."""
        entry = self.pgd.entries.get(address >> 12, 0)
        if not entry & PTE_PRESENT or (write and not entry & PTE_RW):
            return None
        return entry & 0x000F_FFFF_FFFF_F000 | address & 0xFFF

    def fault_in(self, address: int, *, write: bool) -> int | None:
        """``handle_mm_fault()``: make ``address`` accessible and return the physical one; None if it can't be."""
        phys = self.present(address, write=write)
        if phys is not None:
            return phys
        vma = self.find_vma(address)
        if vma is None or not vma.vm_flags & (VM_WRITE if write else VM_READ):
            return None
        page = self._anonymous_page()
        if page is None:
            return None
        flags = PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_DIRTY | PTE_NX
        self.pgd.map(address >> 12, page.pfn, flags | (PTE_RW if vma.vm_flags & VM_WRITE else 0))
        return page.pfn << 12 | address & 0xFFF

    def _anonymous_page(self) -> Page | None:
        page = self.kernel.page_alloc.alloc_pages(GFP_USER_PAGE, 0, owner=self.owner)
        if page is not None:
            page._mapcount += 1
        return page
