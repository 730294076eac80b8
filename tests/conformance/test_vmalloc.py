"""Area vmalloc: what a real kernel did with its own address space."""

from __future__ import annotations

import re
from itertools import pairwise

from kmock.linux.delay import msleep
from kmock.linux.gfp import __GFP_NORETRY, __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page, alloc_pages
from kmock.linux.mm import get_page, page_address, put_page, totalram_pages
from kmock.linux.page_ref import page_count
from kmock.linux.slab import kmalloc, kvmalloc_array
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.string import memset
from kmock.linux.types import NULL
from kmock.linux.vmalloc import (
    PAGE_KERNEL,
    PAGE_KERNEL_RO,
    VM_ALLOC,
    VM_MAP,
    VM_MAP_PUT_PAGES,
    __vmalloc,
    find_vm_area,
    free_vm_area,
    get_vm_area,
    get_vm_area_size,
    is_vmalloc_addr,
    is_vmalloc_or_module_addr,
    vfree,
    vfree_atomic,
    vm_map_ram,
    vm_unmap_aliases,
    vm_unmap_ram,
    vmalloc,
    vmalloc_to_page,
    vmalloc_to_pfn,
    vmalloc_user,
    vmap,
    vread,
    vunmap,
)
from tests.conformance.replay import scenario

MIB = 1 << 20


def gone(p):
    return not find_vm_area(p)


@scenario("vmalloc.rounding")
def rounding(k, s):
    for key in s.observed:
        p = vmalloc(int(key[1:]))
        a = find_vm_area(p)
        s.check(
            key,
            {
                "area_size": a.size,
                "get_vm_area_size": get_vm_area_size(a),
                "nr_pages": a.nr_pages,
                "page_aligned": int(int(p) % 4096 == 0),
                "VM_ALLOC": int(bool(a.flags & VM_ALLOC)),
            },
        )
        vfree(p)


@scenario("vmalloc.guard-gap", "vmalloc.guard-gap--plain")
def guard_gap(k, s):
    areas = sorted(int(vmalloc(3 * MIB)) for _ in range(10))
    s.check("delta_3M", [b - a for a, b in pairwise(areas)])
    s.check("three_M_plus_guard", 3 * MIB + 4096)
    s.except_("delta_4096", "they went into the holes that the recorded machine happened to have")
    for p in areas:
        vfree(p)


@scenario("vmalloc.no-immediate-reuse", "vmalloc.no-immediate-reuse--plain")
def no_immediate_reuse(k, s):
    p = vmalloc(3 * MIB)
    vfree(p)
    q = vmalloc(3 * MIB)
    s.check("same_address", q == p)
    vfree(q)
    vm_unmap_aliases()
    q = vmalloc(3 * MIB)
    s.check("same_address_after_vm_unmap_aliases", q == p)
    vfree(q)


@scenario("vmalloc.more-than-free", fewer_reports="running out of memory is nobody's mistake")
def more_than_free(k, s):
    # What the recorded machine had in use.
    for _ in range(4):
        alloc_pages(GFP_KERNEL, 10)
    s.check("p", __vmalloc((totalram_pages() - 2000) * 4096, GFP_KERNEL | __GFP_NORETRY))


@scenario("vmalloc.lifecycle")
def lifecycle(k, s):
    p = vmalloc(10000)
    memset(p, 1, 10000)
    vfree(p)
    vfree(NULL)
    vunmap(NULL)


@scenario("vmalloc.vfree-unaligned", except_headlines={"kmemleak: Found object by alias": "kmemleak's own bookkeeping"})
def vfree_unaligned(k, s):
    p = vmalloc(10000)
    vfree(p + 8)
    s.check("area_gone", gone(p))
    vfree(p)


@scenario("vmalloc.vfree-in-hardirq")
def vfree_in_hardirq(k, s):
    p = vmalloc(10000)
    with k.hardirq():
        vfree(p)
    msleep(100)
    s.check("area_gone", gone(p))


@scenario("vmalloc.vfree-atomic-under-spinlock")
def vfree_atomic_under_spinlock(k, s):
    p = vmalloc(10000)
    lock = DEFINE_SPINLOCK("olock")
    spin_lock(lock)
    vfree_atomic(p)
    spin_unlock(lock)
    msleep(100)
    s.check("area_gone", gone(p))


@scenario("vmalloc.vmalloc-in-hardirq")
def vmalloc_in_hardirq(k, s):
    with k.hardirq():
        vmalloc(100)


@scenario("vmalloc.vunmap-in-hardirq")
def vunmap_in_hardirq(k, s):
    p = vmap([alloc_page(GFP_KERNEL)], 1, VM_MAP, PAGE_KERNEL)
    with k.hardirq():
        vunmap(p)


@scenario("vmalloc.vmap-refcounts")
def vmap_refcounts(k, s):
    pages = [alloc_page(GFP_KERNEL | __GFP_ZERO) for _ in range(3)]
    v = vmap(pages, 3, VM_MAP, PAGE_KERNEL)
    v[5000] = 0x77
    s.check("refs_while_mapped", [page_count(page) for page in pages])
    s.check("seen_through_page_address", page_address(pages[1])[5000 - 4096])
    a = find_vm_area(v)
    s.check("area_nr_pages", a.nr_pages)
    s.check("area_size", a.size)
    vunmap(v)
    s.check("refs_after", [page_count(page) for page in pages])
    for page in pages:
        __free_page(page)


@scenario("vmalloc.vmap-same-page-twice")
def vmap_same_page_twice(k, s):
    page = alloc_page(GFP_KERNEL)
    v = vmap([page, page], 2, VM_MAP, PAGE_KERNEL)
    v[10] = 1
    s.check("second_view", v[4096 + 10])
    vunmap(v)
    s.check("count_0", vmap([page, page], 0, VM_MAP, PAGE_KERNEL))
    __free_page(page)


@scenario("vmalloc.vfree-of-vmap")
def vfree_of_vmap(k, s):
    page = alloc_page(GFP_KERNEL)
    v = vmap([page], 1, VM_MAP, PAGE_KERNEL)
    vfree(v)
    s.check("area_gone", gone(v))
    s.check("page_ref_after", page_count(page))
    __free_page(page)


@scenario("vmalloc.vmap-put-pages")
def vmap_put_pages(k, s):
    pg = kvmalloc_array(2, 8, GFP_KERNEL)
    a = alloc_page(GFP_KERNEL)
    pg.u64[0] = a.address
    pg.u64[1] = alloc_page(GFP_KERNEL).address
    get_page(a)
    v = vmap(pg, 2, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL)
    s.check("ref_while_mapped", page_count(a))
    s.check("area_nr_pages", find_vm_area(v).nr_pages)
    vfree(v)
    s.check("ref_after_vfree", page_count(a))
    put_page(a)
    pg.u64[0]


@scenario("vmalloc.vm-map-ram")
def vm_map_ram_of_2_and_40(k, s):
    pages = [alloc_page(GFP_KERNEL) for _ in range(40)]
    a = vm_map_ram(pages, 2, -1)
    b = vm_map_ram(pages, 40, -1)
    a[4096] = 0x66
    s.check("a_is_vmalloc_addr", is_vmalloc_addr(a))
    s.check("a_has_vm_struct", bool(find_vm_area(a)))
    s.check("b_has_vm_struct", bool(find_vm_area(b)))
    s.check("seen_through_b", b[4096])
    s.check("ref", page_count(pages[1]))
    s.check("vmallocinfo.0", k.read_file("/proc/vmallocinfo").splitlines()[0])
    vm_unmap_ram(a, 2)
    vm_unmap_ram(b, 40)
    vm_unmap_aliases()
    for page in pages:
        __free_page(page)


@scenario("vmalloc.vm-unmap-ram-twice")
def vm_unmap_ram_twice(k, s):
    page = alloc_page(GFP_KERNEL)
    a = vm_map_ram([page], 1, -1)
    vm_unmap_ram(a, 1)
    vm_unmap_ram(a, 1)
    __free_page(page)


@scenario("vmalloc.vmalloc-to-page")
def to_page(k, s):
    p = vmalloc(8192)
    a, b, c = (vmalloc_to_page(p + offset) for offset in (0, 4095, 4096))
    s.check("same_page_for_0_and_4095", a is b)
    s.check("other_page_for_4096", a is not c)
    s.check("guard", vmalloc_to_page(p + 8192))
    s.check("page_count", page_count(a))
    s.check("pfn_matches", vmalloc_to_pfn(p) == a.pfn)
    p[4100] = 0x31
    s.check("through_page_address", page_address(c)[4])
    s.except_("virt_addr_valid_of_vmalloc", "virt_addr_valid() is not offered")
    vfree(p)


@scenario("vmalloc.is-vmalloc-addr")
def is_vmalloc(k, s):
    start, end = k.layout.vmalloc_start, k.layout.vmalloc_end
    for key, address in {
        "VMALLOC_START": start,
        "VMALLOC_START_minus_1": start - 1,
        "VMALLOC_END_minus_1": end - 1,
        "VMALLOC_END": end,
        "kmalloc": kmalloc(64, GFP_KERNEL),
        "NULL": NULL,
        "stack": k.stack_buffer(8),
        "module_global": k.layout.modules + 4096,
        "page_address": page_address(alloc_page(GFP_KERNEL)),
    }.items():
        s.check(key, is_vmalloc_addr(address))
    s.check("module_global_vmalloc_or_module", is_vmalloc_or_module_addr(k.layout.modules + 4096))
    s.except_("ioremap", "needs ioremap()")


@scenario("vmalloc.vread")
def vread_across_a_hole(k, s):
    p = vmalloc(4096)
    memset(p, 0x41, 4096)
    buf = kmalloc(1000, GFP_KERNEL)
    s.check("r", vread(buf, p + 4000, 1000))
    s.check("first_96_copied", buf[0:96] == b"A" * 96)
    s.check("guard_part_zero", buf[96:1000] == bytes(904))
    # Some area always lies behind it on a machine that runs.
    above = get_vm_area(4096, VM_MAP)
    s.check("r_guard_only", vread(buf, p + 4096, 100))
    s.check("byte0_guard_only", buf[0])
    free_vm_area(above)
    s.except_("r_ioremap", "needs ioremap()")
    s.except_("byte0_ioremap", "needs ioremap()")
    vfree(p)


CALLER = re.compile(r"^\S+-\S+ |\w+\+\S+( \[\w+\])?")
ARRAY = "the array of pages of the large area, which kmock keeps outside of simulated memory"


@scenario("vmalloc.proc-vmallocinfo", "vmalloc.proc-vmallocinfo--numa")
def proc_vmallocinfo(k, s):
    # What is asked for without a node comes from the processor's own.
    node = 1 if "N1=" in s.observed["line.0"] else 0
    with k.on_cpu(2 if node else 0):
        page = alloc_page(GFP_KERNEL)
        array = kvmalloc_array(1, 8, GFP_KERNEL)
        array.u64[0] = alloc_page(GFP_KERNEL).address
        a = vmalloc(10000)
        b = vmalloc_user(4096)
        c = vmap([page], 1, VM_MAP, PAGE_KERNEL)
        d = vmap(array, 1, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL)
        h = vmalloc(4 * MIB)
        area = get_vm_area(8192, VM_MAP)
    shown = k.read_file("/proc/vmallocinfo").splitlines()
    mine = [CALLER.sub("", line) for line in shown]
    for key, line in s.observed.items():
        words = CALLER.sub("", line)
        if "ioremap" in line:
            s.except_(key, "needs ioremap()")
        elif "pages=2 vmalloc" in line:
            s.except_(key, ARRAY)
        else:
            s.check(key, shown[mine.index(words)] if words in mine else "\n".join(shown))
    for p in (a, b, d, h):
        vfree(p)
    vunmap(c)
    free_vm_area(area)
    __free_page(page)


@scenario("vmalloc.oob-in-last-page")
def oob_in_last_page(k, s):
    p = vmalloc(100)
    for offset in (99, 100, 104, 4095):
        p[offset]
    vfree(p)


@scenario("vmalloc.oob-guard-page", "vmalloc.oob-guard-page--plain")
def oob_guard_page(k, s):
    p = vmalloc(4096)
    p[4096]


@scenario("vmalloc.oob-left", "vmalloc.oob-left--plain")
def oob_left(k, s):
    p = vmalloc(3 * MIB)
    p[-1]


@scenario("vmalloc.use-after-vfree", "vmalloc.use-after-vfree--plain")
def use_after_vfree(k, s):
    p = vmalloc(4096)
    p[0] = 5
    vfree(p)
    p[0]


@scenario("vmalloc.get-vm-area")
def get_area(k, s):
    area = get_vm_area(10000, VM_MAP)
    s.check("size", area.size)
    s.check("nr_pages", area.nr_pages)
    s.check("vmalloc_to_page", vmalloc_to_page(area.addr))
    free_vm_area(area)
    s.check("size0", get_vm_area(0, VM_MAP))


@scenario("vmalloc.write-to-read-only-vmap")
def write_to_read_only(k, s):
    v = vmap([alloc_page(GFP_KERNEL)], 1, VM_MAP, PAGE_KERNEL_RO)
    v[0] = 1


@scenario("vmalloc.leak", boot={"kmemleak": True})
def leak(k, s):
    p = vmalloc(10000)
    memset(p, 0x41, 10000)
    p = vmap([alloc_page(GFP_KERNEL)], 1, VM_MAP, PAGE_KERNEL)
    del p
    k.advance(6)
    k.write_file("/sys/kernel/debug/kmemleak", "scan")
    k.advance(6)
    k.write_file("/sys/kernel/debug/kmemleak", "scan")
    assert "size 12288" in k.read_file("/sys/kernel/debug/kmemleak")
