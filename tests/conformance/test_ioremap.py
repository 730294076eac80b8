"""Replays the ``ioremap`` area: mapping device memory, and what the kernel says of unmapping what is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux.io import ioremap, ioremap_cache, ioremap_wc, iounmap, readl
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.vmalloc import vfree, vmalloc, vmalloc_to_page
from tests.conformance.replay import scenario

if TYPE_CHECKING:
    from kmock import Kernel
    from tests.conformance.replay import Replay

BAR = 0xD000_0000


def area_size(k: Kernel, addr: int) -> int:
    """What ``find_vm_area(addr)->size`` says, the guard page included."""
    area = k.vmalloc.probe(addr)
    return area.top - area.addr


def pointer(p: int) -> str:
    return "pointer" if p else "NULL"


@scenario("ioremap.basic")
def basic(k: Kernel, s: Replay) -> None:
    a = ioremap(BAR + 0x10, 100)
    s.check("offset_in_page", a & 4095)
    s.check("area_size", area_size(k, a))
    s.check("phys_addr", k.vmalloc.probe(a).phys_addr)
    s.check("readl", f"{readl(a):08x}")
    iounmap(a)
    a = ioremap(BAR + 0xFFC, 8)
    s.check("crossing_area_size", area_size(k, a))
    iounmap(a)
    iounmap(None)


@scenario("ioremap.iounmap-twice")
def iounmap_twice(k: Kernel, s: Replay) -> None:
    a = ioremap(BAR, 4096)
    iounmap(a)
    iounmap(a)


@scenario("ioremap.iounmap-of-kmalloc")
def iounmap_of_kmalloc(k: Kernel, s: Replay) -> None:
    p = kmalloc(100, GFP_KERNEL)
    iounmap(p)
    kfree(p)


@scenario("ioremap.iounmap-of-vmalloc")
def iounmap_of_vmalloc(k: Kernel, s: Replay) -> None:
    p = vmalloc(4096)
    page = vmalloc_to_page(p)
    iounmap(p)
    s.check("area_gone", not k.vmalloc.probe(p).live)
    s.check("page_ref_after", page._refcount)


@scenario("ioremap.vfree-of-ioremap")
def vfree_of_ioremap(k: Kernel, s: Replay) -> None:
    a = ioremap(BAR, 4096)
    vfree(a)
    s.check("area_gone", not k.vmalloc.probe(a).live)
    a = ioremap_wc(BAR, 4096)
    s.check("later_ioremap_wc_of_it", pointer(a))
    iounmap(a)


@scenario("ioremap.iounmap-interior")
def iounmap_interior(k: Kernel, s: Replay) -> None:
    a = ioremap(BAR, 8192)
    iounmap(a + 4096 + 16)
    s.check("area_gone", not k.vmalloc.probe(a).live)


@scenario("ioremap.conflicting-types")
def conflicting_types(k: Kernel, s: Replay) -> None:
    a = ioremap(BAR, 4096)
    b = ioremap_wc(BAR, 4096)
    c = ioremap_cache(BAR, 4096)
    s.check("wc_while_ucminus", pointer(b))
    s.check("wb_while_ucminus", pointer(c))
    for cookie in (c, b, a):
        iounmap(cookie)


@scenario("ioremap.same-range-twice")
def same_range_twice(k: Kernel, s: Replay) -> None:
    a = ioremap(BAR, 4096)
    b = ioremap(BAR, 4096)
    s.check("different_addresses", a != b)
    iounmap(b)
    iounmap(a)


@scenario("ioremap.access-past-end")
def access_past_end(k: Kernel, s: Replay) -> None:
    a = ioremap(BAR, 16)
    s.check("slack", f"{readl(a + 64):08x}")
    readl(a + 4096)
