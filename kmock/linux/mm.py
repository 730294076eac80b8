"""``<linux/mm.h>``: pages, their references and addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux._mm_filemap import *  # noqa: F403 -- a part of this header
from kmock.linux._mm_filemap import __all__ as _filemap
from kmock.linux._mm_gup import *  # noqa: F403 -- a part of this header
from kmock.linux._mm_gup import __all__ as _gup
from kmock.linux._mm_remap import *  # noqa: F403 -- a part of this header
from kmock.linux._mm_remap import __all__ as _remap
from kmock.linux.gfp import *  # noqa: F403 -- the C header includes it
from kmock.linux.gfp import __all__ as _gfp
from kmock.linux.io import page_to_phys
from kmock.linux.mm_init import *  # noqa: F403 -- the C header declares them
from kmock.linux.mm_init import __all__ as _mm_init
from kmock.linux.mm_types import *  # noqa: F403 -- the C header includes it
from kmock.linux.mm_types import __all__ as _mm_types
from kmock.linux.mmzone import *  # noqa: F403 -- the C header includes it
from kmock.linux.mmzone import __all__ as _mmzone
from kmock.linux.page import *  # noqa: F403 -- the C header includes it
from kmock.linux.page import __all__ as _page
from kmock.linux.page_flags import *  # noqa: F403 -- the C header includes it
from kmock.linux.page_flags import __all__ as _page_flags
from kmock.linux.page_ref import *  # noqa: F403 -- the C header includes it
from kmock.linux.page_ref import __all__ as _page_ref
from kmock.linux.pgtable import *  # noqa: F403 -- the C header includes it
from kmock.linux.pgtable import __all__ as _pgtable
from kmock.linux.vmalloc import is_vmalloc_addr, is_vmalloc_or_module_addr, vmalloc_to_page, vmalloc_to_pfn
from kmock.mm import access_vm, page_addr, physaddr
from kmock.mm import vm_mmap as vm_map
from kmock.mm.layout import PAGE_SHIFT, PAGE_SIZE
from kmock.mm.mmap_lock import assert_locked, need_locked
from kmock.mm.vm_fault import NOPAGE_OOM, NOPAGE_SIGBUS, VM_FAULT_MINOR, ZERO_PFN
from kmock.mm.vm_flags import (
    VM_ACCESS_FLAGS,
    VM_ACCOUNT,
    VM_ARCH_1,
    VM_DONTCOPY,
    VM_DONTDUMP,
    VM_DONTEXPAND,
    VM_EXEC,
    VM_GROWSDOWN,
    VM_HUGEPAGE,
    VM_HUGETLB,
    VM_IO,
    VM_LOCKED,
    VM_LOCKONFAULT,
    VM_MAYEXEC,
    VM_MAYREAD,
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_MERGEABLE,
    VM_MIXEDMAP,
    VM_NOHUGEPAGE,
    VM_NONE,
    VM_NORESERVE,
    VM_PAT,
    VM_PFNMAP,
    VM_RAND_READ,
    VM_READ,
    VM_RESERVED,
    VM_SEQ_READ,
    VM_SHARED,
    VM_SOFTDIRTY,
    VM_SPECIAL,
    VM_SYNC,
    VM_WIPEONFORK,
    VM_WRITE,
    is_cow_mapping,
    vm_get_page_prot,
)
from kmock.mm.vma import vm_operations_struct

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct
    from kmock.mm.zones import Zone


# -- references ---------------------------------------------------------------------------------------------------


@api(since="2.3", undo="put_page")
def get_page(k: Kernel, page: Page) -> None:
    """Take a reference to a page that somebody holds already."""
    k.page_alloc.get_page(page)


@api(since="2.4", illegal=Where.NMI)
def put_page(k: Kernel, page: Page) -> None:
    """Drop a reference; the last one frees the page, or the compound page that it is part of."""
    k.page_alloc.put_page(page)


@api(since="2.6", undo="put_page", fails=True)
def get_page_unless_zero(k: Kernel, page: Page) -> bool:
    """Take a reference unless there is none left; return whether it was taken."""
    head = page.compound_head
    if not head._refcount:
        return False
    head._refcount += 1
    return True


@api(since="5.1", undo="put_page", fails=True)
def try_get_page(k: Kernel, page: Page) -> bool:
    """Take a reference; refuse, with a warning, on a page that has none or too many."""
    head = page.compound_head
    if head._refcount <= 0:
        k.warn("page-get-after-free", "include/linux/mm.h:1154", "try_get_page", key=page)
        return False
    head._refcount += 1
    return True


@api(since="2.6")
def put_page_testzero(k: Kernel, page: Page) -> bool:
    """Drop a reference without freeing; return whether it was the last."""
    return k.page_alloc.put_page_testzero(page)


# -- shape --------------------------------------------------------------------------------------------------------


@api(since="2.6.16")
def split_page(k: Kernel, page: Page, order: int) -> None:
    """Make each page of a non-compound block of ``1 << order`` one that is freed by itself."""
    page_addr.split_page(k, page, order)


@api(since="2.6.22")
def compound_order(k: Kernel, page: Page) -> int:
    """Return the order of a compound page's first page; 0 for any other."""
    return page.order


@api(since="5.4")
def compound_nr(k: Kernel, page: Page) -> int:
    """Return the pages of a compound page, given its first."""
    return 1 << page.order


@api(since="5.4")
def page_size(k: Kernel, page: Page) -> int:
    """Return the bytes of a compound page, given its first."""
    return PAGE_SIZE << page.order


@api(since="2.6")
def page_mapcount(k: Kernel, page: Page) -> int:
    """Return how often the page is mapped into processes."""
    return page.mapcount


@api(since="2.6")
def page_mapped(k: Kernel, page: Page) -> bool:
    """Return whether the page is mapped into a process."""
    return page.mapcount > 0


@api(since="2.6")
def page_zonenum(k: Kernel, page: Page) -> int:
    """Return the number of the page's zone in its node."""
    return page.zone.idx if page.zone is not None else 0


@api(since="2.5.60")
def page_zone(k: Kernel, page: Page) -> Zone | None:
    """Return the zone that the page lies in; None for a frame without memory."""
    return page.zone


@api(since="2.6")
def page_to_nid(k: Kernel, page: Page) -> int:
    """Return the page's node."""
    return page.zone.nid if page.zone is not None else 0


# -- addresses ----------------------------------------------------------------------------------------------------


@api(since="2.3")
def page_address(k: Kernel, page: Page) -> Ptr:
    """Return the address of a page; NULL for a highmem page that is not mapped."""
    return k.page_alloc.highmem.page_address(page)


@api(since="2.6.22")
def virt_to_head_page(k: Kernel, x: int) -> Page:
    """Return the first page of the compound page that an address of the direct map lies in."""
    return physaddr.virt_to_page(k, x).compound_head


@api(since="2.6")
def totalram_pages(k: Kernel) -> int:
    """Return the pages that the page allocator manages."""
    return sum(zone.managed_pages for zone in k.page_alloc.zones.all)


@api(since="3.16")
def si_mem_available(k: Kernel) -> int:
    """Return the free pages, roughly, that can be used without reclaim."""
    return k.page_alloc.nr_free_pages


# -- areas of processes -------------------------------------------------------------------------------------------


@api(since="1.0")
def find_vma(k: Kernel, mm: mm_struct, addr: int) -> vm_area_struct | None:
    """Return the first area that ends behind ``addr``, whether or not it holds it; the caller holds ``mmap_lock``."""
    assert_locked(k, mm)
    return mm.find_vma(int(addr))


@api(since="2.4")
def find_vma_intersection(k: Kernel, mm: mm_struct, start_addr: int, end_addr: int) -> vm_area_struct | None:
    """Return the first area that has a part of ``[start_addr, end_addr)``; the caller holds ``mmap_lock``."""
    assert_locked(k, mm)
    found = mm.find_vma(int(start_addr))
    return found if found is not None and found.vm_start < end_addr else None


@api(since="5.14")
def vma_lookup(k: Kernel, mm: mm_struct, addr: int) -> vm_area_struct | None:
    """Return the area that ``addr`` lies in; the caller holds ``mmap_lock``, which the kernel itself does not check."""
    need_locked(k, mm, "vma_lookup")
    return mm.vma_lookup(int(addr))


@api(since="3.5", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="vm_munmap", fails=True)
def vm_mmap(k: Kernel, file: Any, addr: int, len: int, prot: int, flag: int, offset: int) -> int:
    """Map a file, or with None nothing, into the running process; return the address or -errno."""
    return vm_map.vm_mmap(k.current.mm, file, addr, len, prot, flag, offset)


@api(since="3.4", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def vm_munmap(k: Kernel, start: int, len: int) -> int:
    """Unmap ``[start, start + len)`` of the running process; return 0 or -errno."""
    return vm_map.vm_munmap(k.current.mm, start, len)


@api(since="2.4", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def access_process_vm(k: Kernel, tsk: Task, addr: int, buf: Any, len: int, gup_flags: int) -> int:
    """Read ``len`` bytes of a task's memory into ``buf``, or with ``FOLL_WRITE`` write them; return how many it were.

    ``FOLL_FORCE`` is past the protection. The copy ends at the first byte that can't be had.
    """
    mm: mm_struct | None = tsk.mm
    if mm is None:
        return 0
    return access_vm.access_process_vm(k, mm, int(addr), buf, len, gup_flags)


@api(since="2.6.25")
def vma_pages(k: Kernel, vma: vm_area_struct) -> int:
    """Return how many pages an area has."""
    return vma.pages


@api(since="4.20")
def vma_is_anonymous(k: Kernel, vma: vm_area_struct) -> bool:
    """Return whether nobody but the process itself fills an area's pages."""
    return vma.vm_ops is None


@api(since="5.4")
def vma_is_accessible(k: Kernel, vma: vm_area_struct) -> bool:
    """Return whether an area may be accessed at all."""
    return bool(vma.vm_flags & VM_ACCESS_FLAGS)


@api(since="2.6.32")
def linear_page_index(k: Kernel, vma: vm_area_struct, address: int) -> int:
    """Return the page of the mapped object that ``address`` shows."""
    return vma.pgoff_of(int(address))


@api(since="1.0")
def ZERO_PAGE(k: Kernel, vaddr: int) -> Page:
    """Return the page that every untouched anonymous page reads as."""
    return k.memmap.page(ZERO_PFN)


@api(since="2.6")
def get_mm_counter(k: Kernel, mm: mm_struct, member: int) -> int:
    """Return how many pages of a kind (``MM_FILEPAGES``...) a process has."""
    return max(mm.rss[member], 0)


@api(since="2.6")
def add_mm_counter(k: Kernel, mm: mm_struct, member: int, value: int) -> None:
    """Count ``value`` pages of a kind more."""
    k.mappings.count(mm, member, value)


@api(since="2.6", undo="dec_mm_counter")
def inc_mm_counter(k: Kernel, mm: mm_struct, member: int) -> None:
    """Count one page of a kind more."""
    k.mappings.count(mm, member, 1)


@api(since="2.6")
def dec_mm_counter(k: Kernel, mm: mm_struct, member: int) -> None:
    """Count one page of a kind less."""
    k.mappings.count(mm, member, -1)


# -- numbers ------------------------------------------------------------------------------------------------------


def PAGE_ALIGN(addr: int) -> int:
    """Round up to a multiple of the page size."""
    return (addr + PAGE_SIZE - 1) & -PAGE_SIZE


def PAGE_ALIGNED(addr: int) -> bool:
    """Return whether an address is a multiple of the page size."""
    return not int(addr) & PAGE_SIZE - 1


def offset_in_page(p: int) -> int:
    """Return an address' offset in its page."""
    return int(p) & PAGE_SIZE - 1


def PFN_UP(x: int) -> int:
    """Return the frame number of an address, rounded up."""
    return x + PAGE_SIZE - 1 >> PAGE_SHIFT


def PFN_DOWN(x: int) -> int:
    """Return the frame number of an address."""
    return x >> PAGE_SHIFT


def PFN_PHYS(x: int) -> int:
    """Return the address of a page frame."""
    return x << PAGE_SHIFT


_OWN = [
    "NOPAGE_OOM",
    "NOPAGE_SIGBUS",
    "PAGE_ALIGN",
    "PAGE_ALIGNED",
    "PFN_DOWN",
    "PFN_PHYS",
    "PFN_UP",
    "VM_ACCESS_FLAGS",
    "VM_ACCOUNT",
    "VM_ARCH_1",
    "VM_DONTCOPY",
    "VM_DONTDUMP",
    "VM_DONTEXPAND",
    "VM_EXEC",
    "VM_FAULT_MINOR",
    "VM_GROWSDOWN",
    "VM_HUGEPAGE",
    "VM_HUGETLB",
    "VM_IO",
    "VM_LOCKED",
    "VM_LOCKONFAULT",
    "VM_MAYEXEC",
    "VM_MAYREAD",
    "VM_MAYSHARE",
    "VM_MAYWRITE",
    "VM_MERGEABLE",
    "VM_MIXEDMAP",
    "VM_NOHUGEPAGE",
    "VM_NONE",
    "VM_NORESERVE",
    "VM_PAT",
    "VM_PFNMAP",
    "VM_RAND_READ",
    "VM_READ",
    "VM_RESERVED",
    "VM_SEQ_READ",
    "VM_SHARED",
    "VM_SOFTDIRTY",
    "VM_SPECIAL",
    "VM_SYNC",
    "VM_WIPEONFORK",
    "VM_WRITE",
    "ZERO_PAGE",
    "access_process_vm",
    "add_mm_counter",
    "compound_nr",
    "compound_order",
    "dec_mm_counter",
    "find_vma",
    "find_vma_intersection",
    "get_mm_counter",
    "get_page",
    "get_page_unless_zero",
    "inc_mm_counter",
    "is_cow_mapping",
    "is_vmalloc_addr",
    "is_vmalloc_or_module_addr",
    "linear_page_index",
    "offset_in_page",
    "page_address",
    "page_mapcount",
    "page_mapped",
    "page_size",
    "page_to_nid",
    "page_to_phys",
    "page_zone",
    "page_zonenum",
    "put_page",
    "put_page_testzero",
    "si_mem_available",
    "split_page",
    "totalram_pages",
    "try_get_page",
    "virt_to_head_page",
    "vm_get_page_prot",
    "vm_mmap",
    "vm_munmap",
    "vm_operations_struct",
    "vma_is_accessible",
    "vma_is_anonymous",
    "vma_lookup",
    "vma_pages",
    "vmalloc_to_page",
    "vmalloc_to_pfn",
]
__getattr__ = header_getattr(__name__)
__all__ = sorted(  # noqa: PLE0605 -- a list
    {
        *_OWN,
        *_filemap,
        *_gfp,
        *_gup,
        *_mm_init,
        *_mm_types,
        *_mmzone,
        *_page,
        *_page_flags,
        *_page_ref,
        *_pgtable,
        *_remap,
    }
)
