"""Mappings of pages that somebody else owns: ``vmap()``, ``map_kernel_range()`` and their kin (``mm/vmalloc.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm import util
from kmock.mm.page import Page, PageBlock
from kmock.mm.pgprot import CACHE_MASK, PAGE_KERNEL, pgprot_nx
from kmock.mm.vm_area import VM_MAP_PUT_PAGES, VM_NO_GUARD
from kmock.sanitizers.object import SCAN_HELD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmock.machine import Kernel
    from kmock.mm.vm_area import VmArea

PAGE_SIZE: Final = 4096
EBUSY: Final = 16
ENOMEM: Final = 12
_STRUCT_PAGE: Final = 64


class Vmaps:
    """What is mapped a second time into vmalloc space."""

    __slots__ = ("given", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.given: set[VmArea] = set()
        """Areas of VM_MAP_PUT_PAGES, which own a reference to each of their pages."""

    # -- page tables ------------------------------------------------------------------------------

    def map_pages(self, address: int, pages: Sequence[Page], prot: int = PAGE_KERNEL) -> None:
        """Map ``pages`` side by side from ``address`` on."""
        mmu = self.kernel.mmu
        for vpn, page in enumerate(pages, address >> 12):
            mmu.map(vpn, page.pfn, prot)

    def unmap_range(self, address: int, size: int) -> None:
        """Unmap whatever is mapped in ``[address, address + size)``."""
        entries = self.kernel.mmu.entries
        vpns = range(address >> 12, address + size >> 12)
        # Address space may be reserved by the terabyte.
        for vpn in vpns if len(vpns) <= len(entries) else [vpn for vpn in entries if vpn in vpns]:
            entries.pop(vpn, 0)

    def map_range(self, address: int, pages: Sequence[Page | None], prot: int) -> int:
        """``vmap_pages_range()``: 0, -EBUSY where something is mapped already, -ENOMEM where a page is NULL."""
        mmu = self.kernel.mmu
        for vpn, page in enumerate(pages, address >> 12):
            if mmu.entries.get(vpn):
                self._warn("mm/vmalloc.c:541", f"{vpn << 12:#x} is mapped already")
                return -EBUSY
            if not isinstance(page, Page):
                self._warn("mm/vmalloc.c:545", f"page {vpn - (address >> 12)} of {len(pages)} is NULL")
                return -ENOMEM
            mmu.map(vpn, page.pfn, prot)
        return 0

    def _warn(self, at: str, why: str) -> None:
        k = self.kernel
        k.warn("vmap-null-page", at, "__vmap_pages_range_noflush", lines=[why], stacks={"access": k.capture()})

    def pages_of(self, pages: Sequence[Page | None] | Ptr, count: int) -> list[Page | None]:
        """Return the pages of a ``struct page **``: a list, or an array in memory of the addresses of page structs."""
        if not isinstance(pages, Ptr):
            return list(pages[:count])
        k = self.kernel
        width = k.layout.bits // 8
        data = k.mem.load(pages, 0, count * width)
        found = (int.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width))
        return [k.memmap.page((value - k.layout.vmemmap) // _STRUCT_PAGE) if value else None for value in found]

    # -- vmap() -----------------------------------------------------------------------------------

    def vmap(self, pages: Sequence[Page | None] | Ptr, count: int, flags: int, prot: int) -> Ptr:
        """``vmap()``: map ``count`` pages side by side; NULL if that fails."""
        k = self.kernel
        k.atomic_sleep.might_sleep("mm/vmalloc.c:2907", "vmalloc-atomic")
        if flags & VM_NO_GUARD:
            k.warn("vmalloc-out-of-bounds", "mm/vmalloc.c:2913", "vmap", lines=["an area without a guard page"])
            flags &= ~VM_NO_GUARD
        area = None
        if count <= sum(zone.managed_pages for zone in k.page_alloc.zones.all):
            area = k.vmalloc.get_area(count * PAGE_SIZE, flags, "vmap")
        if area is None:
            return k.vmalloc.failed("vmap", count * PAGE_SIZE)
        mapped = self.pages_of(pages, count)
        if self.map_range(area.addr, mapped, pgprot_nx(prot)):
            k.vmalloc.retire(area)
            k.vmalloc.unmap(area, pages=False)
            return k.vmalloc.failed("vmap", count * PAGE_SIZE)
        self.show(area, [page for page in mapped if page is not None], prot)
        if flags & VM_MAP_PUT_PAGES:
            self._take_over(area, pages)
        return make_ptr(area.addr, area)

    def _take_over(self, area: VmArea, pages: Sequence[Page | None] | Ptr) -> None:
        """The array and a reference to each page are the area's now."""
        self.given.add(area)
        self._hold(area, SCAN_HELD)
        if isinstance(pages, Ptr):
            area.array = pages
            if pages.origin is not None:
                pages.origin.scan |= SCAN_HELD

    def _hold(self, area: VmArea, scan: int) -> None:
        for page in area.pages:
            if isinstance(page.owner, PageBlock):
                page.owner.scan = scan

    def put_pages(self, area: VmArea) -> None:
        """Give back what came with VM_MAP_PUT_PAGES: the references to the pages, and the array."""
        k = self.kernel
        self.given.discard(area)
        self._hold(area, 0)
        for page in area.pages:
            k.page_alloc.drop(page, 0)
        if area.array:
            array, area.array = area.array, NULL
            if array.origin is not None:
                array.origin.scan &= ~SCAN_HELD
            util.kvfree(k, array)

    # -- aliases ----------------------------------------------------------------------------------

    def show(self, area: VmArea, pages: list[Page], prot: int = PAGE_KERNEL) -> None:
        """Note that ``area`` shows ``pages``, which belong to somebody else."""
        area.pages = pages
        area.prot = prot
        vmapped = self.kernel.page_alloc.vmapped
        for page in pages:
            others = vmapped.setdefault(page.pfn, [])
            clash = next((other for other in others if (other.prot ^ prot) & CACHE_MASK), None)
            if clash is not None:
                self._clash(area, clash)
            others.append(area)
            if isinstance(page.owner, PageBlock):
                # What is stored through the other address is not followed.
                page.owner.written = None

    def forget(self, area: VmArea) -> None:
        """The area shows its pages no more."""
        vmapped = self.kernel.page_alloc.vmapped
        for page in area.pages if vmapped else ():
            left = vmapped.get(page.pfn)
            if left and area in left:
                left.remove(area)
                if not left:
                    del vmapped[page.pfn]

    def _clash(self, area: VmArea, other: VmArea) -> None:
        k = self.kernel
        kind = "vmap-alias-attr"
        k.report(
            kind,
            f"BUG: kmock: {kind} in {area.call}()",
            lines=[f"the page is mapped at {other.addr:016x} already, cached in another way"],
            stacks={"access": k.capture(), "mapped": other.alloc_stack},
            key=(other, "cache"),
        )

    def freed(self, page: Page, n: int) -> None:
        """``n`` pages from ``page`` on are freed: none of them may be mapped by vmap() any more."""
        k = self.kernel
        for pfn in range(page.pfn, page.pfn + n):
            for area in k.page_alloc.vmapped.pop(pfn, ()):
                kind = "page-free-vmapped"
                k.report(
                    kind,
                    f"BUG: kmock: {kind} in {k.symbol(k.capture())}",
                    lines=[f"page {pfn:#x} is still mapped at {area.addr + self._offset(area, pfn):016x}: {area.what}"],
                    stacks={"access": k.capture(), "mapped": area.alloc_stack},
                    key=(area, "page"),
                )

    @staticmethod
    def _offset(area: VmArea, pfn: int) -> int:
        return next((i for i, page in enumerate(area.pages) if page.pfn == pfn), 0) << 12

    # -- ranges, until 5.13 -----------------------------------------------------------------------

    def map_kernel_range(self, start: int, size: int, prot: int, pages: Sequence[Page | None] | Ptr) -> int:
        """``map_kernel_range_noflush()``: 0 or a negative errno; BUG where the range is empty."""
        k = self.kernel
        if size <= 0:
            k.bug("vmalloc-zero-size", "mm/vmalloc.c:626")
        return self.map_range(start, self.pages_of(pages, size >> 12), prot)

    def unmap_kernel_range(self, start: int, size: int) -> None:
        """``unmap_kernel_range()``: clear the page table entries, no more; BUG where the range is empty."""
        if size <= 0:
            self.kernel.bug("vmalloc-zero-size", "mm/vmalloc.c:486")
        self.unmap_range(start, size)
