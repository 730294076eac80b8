"""Kernel addresses, physical addresses and pages (``arch/x86/mm/physaddr.c``, ``asm/page.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.lang.ptr import Ptr, make_ptr
from kmock.mm.layout import PAGE_SHIFT
from kmock.mm.page import PageBlock

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page

_PLACES = {64: "arch/x86/mm/physaddr.c:28", 32: "arch/x86/mm/physaddr.c:76"}


def direct_mapped(k: Kernel, address: int) -> bool:
    """Whether the address lies in the direct map, over existing memory."""
    phys = int(address) - k.layout.page_offset
    return 0 <= phys < k.mem.size and k.ram.exists(phys)


def virt_to_phys(k: Kernel, address: int, by: str = "virt_to_phys") -> int:
    """``__pa()``: only addresses of the direct map have one; others are reported, and BUG with DEBUG_VIRTUAL."""
    phys = int(address) - k.layout.page_offset
    if not 0 <= phys < k.mem.size:
        _bad(k, int(address), by)
    return phys & (1 << 64) - 1


def _bad(k: Kernel, address: int, by: str) -> None:
    vmalloc = k.layout.is_vmalloc(address) and by == "virt_to_page"
    kind = "vmalloc-to-virt-to-page" if vmalloc else "virt-to-page-bad"
    if k.config.debug_vm:
        k.bug(kind, _PLACES[k.layout.bits])
    headline = f"BUG: kmock: {kind} in {k.symbol(k.capture())}"
    k.report(kind, headline, lines=[f"{by}({address:#x}) of an address outside of the direct map"], key=(kind, address))


def phys_to_virt(k: Kernel, phys: int) -> Ptr:
    """``__va()``: the direct map's address of a physical address."""
    page = k.memmap.pages.get(int(phys) >> PAGE_SHIFT)
    owner = page.owner if page is not None else None
    return make_ptr(k.layout.page_offset + int(phys), owner if isinstance(owner, PageBlock) and owner.live else None)


def virt_to_page(k: Kernel, address: int) -> Page:
    """``virt_to_page()``: the page that a direct-map address lies in."""
    return k.memmap.page(virt_to_phys(k, address, "virt_to_page") >> PAGE_SHIFT)


def get_order(size: int) -> int:
    """``get_order()``: the order of the smallest block that holds ``size`` bytes; 52 for 0, as in C."""
    return ((size - 1 & (1 << 64) - 1) >> PAGE_SHIFT).bit_length()
