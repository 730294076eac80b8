"""A process' address space: its areas, its page table and what is counted (``include/linux/mm_types.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sortedcontainers import SortedDict

from kmock.current import current
from kmock.errors import Deadlock, KernelOops, KernelPanic
from kmock.hw.mmu import PTE_ACCESSED, PTE_DIRTY, PTE_PFN_MASK, PTE_PRESENT, PTE_RW, PageTable
from kmock.kernel import rwsem
from kmock.kernel.rwsem import rw_semaphore
from kmock.kernel.spinlock import spinlock_t
from kmock.mm.vm_flags import PTE_PROTNONE

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.vma import vm_area_struct
    from kmock.sanitizers.object import Allocation

PAGE_SIZE: Final = 4096
PHYS_BITS: Final = 46
"""Width of a physical address; the processor faults on an entry that has more."""
DEADLY: Final = (Deadlock, KernelOops, KernelPanic)
"""What ends a task on the spot, with all that it holds."""
PTE_SOFT_PRESENT: Final = PTE_PRESENT | PTE_PROTNONE
"""What an entry that stands for a page has one of (``pte_present()``)."""


class UserMemory:
    """What a process' pages belong to: no allocation of the kernel's, whatever address one looks at."""

    __slots__ = ()

    def probe(self, address: int) -> Allocation | None:
        """Return the record of a page that a driver has now; of no other there is one."""
        k = current.get()
        page = k.memmap.pages.get((address - k.layout.page_offset) >> 12)
        grab = k.page_alloc.grabbed.get(page) if page is not None else None
        return grab if grab is not None and grab.live else None

    def live(self) -> tuple[()]:
        """No allocation of the kernel's lives here."""
        return ()


USER_MEMORY: Final = UserMemory()


class _Locked:
    """See :meth:`mm_struct.locked`. No contextlib: its frames would count as the driver's."""

    __slots__ = ("_mm", "_read")

    def __init__(self, mm: mm_struct, *, read: bool) -> None:
        self._mm = mm
        self._read = read

    def __enter__(self) -> None:
        """The lock is taken already."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, DEADLY):
            self._mm.unlock(read=self._read)


class mm_struct:
    """An address space. Pages come when they are first touched; the last user's end gives them back."""

    __slots__ = (
        "__weakref__",
        "brk",
        "def_flags",
        "has_pinned",
        "hiwater_rss",
        "hiwater_vm",
        "kernel",
        "locked_vm",
        "mm_count",
        "mm_users",
        "mmap_base",
        "mmap_lock",
        "page_table_lock",
        "pgd",
        "pinned_vm",
        "rss",
        "start_brk",
        "tables",
        "total_vm",
        "vmas",
    )

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.pgd = PageTable()
        self.tables: dict[int, int] = {}
        """Lowest-level page tables by number, each with how many entries it has."""
        self.vmas: SortedDict[int, vm_area_struct] = SortedDict()
        self.mmap_lock = rw_semaphore("&mm->mmap_lock", (mm_struct.__init__.__code__, 0))
        self.page_table_lock = spinlock_t("&mm->page_table_lock", (mm_struct.__init__.__code__, 0))
        self.mm_users = 1
        """Who uses the address space; the last one's end empties it."""
        self.mm_count = 1
        """Who uses this structure; all users together count as one."""
        self.rss = [0, 0, 0, 0]
        """Pages by kind (``MM_FILEPAGES`` and so on)."""
        self.total_vm = self.locked_vm = self.pinned_vm = self.hiwater_vm = self.hiwater_rss = 0
        self.def_flags = 0
        self.has_pinned = False
        """Whether a page of it was ever pinned for DMA."""
        # Two processes have nothing at one address: a pointer used in the wrong process doesn't go unseen.
        top = kernel.layout.task_size
        self.mmap_base = top - (kernel.random.randrange(1 << 12, top >> 14) << 12)
        self.start_brk = self.brk = kernel.random.randrange(0x400, 0x4000) << 12

    def dup(self) -> mm_struct:
        """``mm_init()`` of a child: an empty address space that begins and ends where this one does."""
        new = mm_struct(self.kernel)
        new.mmap_base, new.start_brk, new.brk = self.mmap_base, self.start_brk, self.brk
        new.def_flags = self.def_flags
        return new

    # -- the lock ---------------------------------------------------------------------------------

    @property
    def mmap_sem(self) -> rw_semaphore:
        """What kernels before 5.8 call ``mmap_lock``."""
        return self.mmap_lock

    def lock(self, how: str, *, read: bool = False, subclass: int = 0) -> None:
        """Take ``mmap_lock``, sleeping if need be; ``how`` is the kernel function that does."""
        at = f"kernel/locking/rwsem.c:{1519 if read else 1572}"
        rwsem.down(self.kernel, self.mmap_lock, how, at, read=read, subclass=subclass)

    def unlock(self, *, read: bool = False) -> None:
        """Release ``mmap_lock``."""
        rwsem.up(self.kernel, self.mmap_lock, read=read)

    def locked(self, how: str, *, read: bool = False) -> _Locked:
        """Take ``mmap_lock`` and hold it inside the block; who dies in it takes the lock along, as in the kernel."""
        self.lock(how, read=read)
        return _Locked(self, read=read)

    def is_locked(self) -> bool:
        """``rwsem_is_locked()``."""
        state = self.mmap_lock.of(self.kernel)
        return state.owner is not None or bool(state.readers)

    # -- areas ------------------------------------------------------------------------------------

    def find_vma(self, address: int) -> vm_area_struct | None:
        """``find_vma()``: return the first area that ends behind ``address``, whether or not it holds it."""
        at = self.vmas.bisect_right(address)
        if at and address < (vma := self.vmas.peekitem(at - 1)[1]).vm_end:
            return vma  # type: ignore[no-any-return]
        return self.vmas.peekitem(at)[1] if at < len(self.vmas) else None

    def vma_lookup(self, address: int) -> vm_area_struct | None:
        """``vma_lookup()``: return the area that ``address`` lies in."""
        vma = self.find_vma(address)
        return vma if vma is not None and vma.vm_start <= address else None

    def maps(self, address: int) -> bool:
        """Whether the process has anything at ``address``."""
        return self.vma_lookup(address) is not None

    def after(self, vma: vm_area_struct) -> vm_area_struct | None:
        """Return the area behind ``vma``."""
        at = self.vmas.bisect_right(vma.vm_start)
        return self.vmas.peekitem(at)[1] if at < len(self.vmas) else None

    def before(self, vma: vm_area_struct) -> vm_area_struct | None:
        """Return the area in front of ``vma``, which need not be linked."""
        return self.below(vma.vm_start)

    def below(self, address: int) -> vm_area_struct | None:
        """Return the last area that begins below ``address``."""
        at = self.vmas.bisect_left(address)
        return self.vmas.peekitem(at - 1)[1] if at else None

    def between(self, start: int, end: int) -> list[vm_area_struct]:
        """Return the areas that lie in ``[start, end)``, wholly or in part."""
        first = self.find_vma(start)
        if first is None or first.vm_start >= end:
            return []
        return [self.vmas[at] for at in self.vmas.irange(first.vm_start, end, inclusive=(True, False))]

    # -- the page table ---------------------------------------------------------------------------

    def pte(self, address: int) -> int:
        """Return the page table's entry for ``address``, 0 where there is none."""
        return self.pgd.entries.get(address >> 12, 0)

    def set_pte(self, address: int, entry: int) -> None:
        """Set the page table's entry for ``address``."""
        entries = self.pgd.entries
        vpn = address >> 12
        if vpn not in entries:
            self.tables[vpn >> 9] = self.tables.get(vpn >> 9, 0) + 1
        entries[vpn] = entry

    def clear_pte(self, address: int) -> int:
        """Clear the page table's entry for ``address`` and return what it was."""
        vpn = address >> 12
        entry = self.pgd.entries.pop(vpn, 0)
        if entry:
            self.tables[vpn >> 9] -= 1
        return entry

    def mapped(self, start: int, end: int) -> list[int]:
        """Return the addresses of the pages in ``[start, end)`` that have an entry, in order."""
        entries = self.pgd.entries
        first, last = start >> 12, end >> 12
        if last - first > len(entries):
            return sorted(vpn << 12 for vpn in entries if first <= vpn < last)
        return [vpn << 12 for vpn in range(first, last) if vpn in entries]

    def free_tables(self, start: int, end: int, floor: int, ceiling: int) -> None:
        """``free_pgtables()``: free the tables of ``[start, end)`` that reach no further than ``[floor, ceiling)``.

        Whatever is left in them goes unseen.
        """
        first, last = start >> 21, (end - 1) >> 21
        if first << 21 < floor:
            first += 1
        if (last + 1) << 21 > ceiling:
            last -= 1
        for table in range(first, last + 1) if last - first < len(self.tables) else sorted(self.tables):
            if first <= table <= last and self.tables.pop(table, 0):
                for vpn in range(table << 9, table + 1 << 9):
                    self.pgd.entries.pop(vpn, None)

    def present(self, address: int, *, write: bool) -> int | None:
        """Return the physical address behind ``address``, None where the MMU would fault; it notes the access."""
        entry = self.pgd.entries.get(address >> 12, 0)
        if not entry & PTE_PRESENT:
            return None
        if write:
            if not entry & PTE_RW:
                return None
            if not entry & PTE_DIRTY:
                self.pgd.entries[address >> 12] = entry | PTE_DIRTY | PTE_ACCESSED
        elif not entry & PTE_ACCESSED:
            self.pgd.entries[address >> 12] = entry | PTE_ACCESSED
        phys = entry & PTE_PFN_MASK | address & 0xFFF
        if phys >> PHYS_BITS:
            self.kernel.pfnmaps.corrupted(address, entry, write=write)
        return phys
