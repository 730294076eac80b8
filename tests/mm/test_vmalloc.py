"""vmalloc: areas of single pages, their guard pages, and memory that may come from either allocator."""

from __future__ import annotations

from itertools import pairwise

import pytest

import kmock
from kmock.hw.mmu import PTE_NX
from kmock.linux.gfp import __GFP_NOWARN, __GFP_ZERO, GFP_KERNEL, GFP_NOWAIT, __free_page, alloc_page
from kmock.linux.mm import page_address
from kmock.linux.rwlock import read_lock, read_unlock
from kmock.linux.slab import kfree, kmalloc, kvcalloc, kvfree, kvfree_sensitive, kvmalloc, kvrealloc, kvzalloc, kzalloc
from kmock.linux.string import memset
from kmock.linux.types import NULL, Ptr
from kmock.linux.uaccess import copy_to_user
from kmock.linux.vmalloc import (
    PAGE_KERNEL,
    VM_ALLOC,
    VM_MAP,
    VM_USERMAP,
    __vmalloc,
    __vmalloc_node,
    __vmalloc_node_range,
    alloc_vm_area,
    find_vm_area,
    free_vm_area,
    get_vm_area,
    get_vm_area_size,
    is_vmalloc_addr,
    map_kernel_range_noflush,
    map_vm_area,
    pcpu_free_vm_areas,
    pcpu_get_vm_areas,
    remove_vm_area,
    unmap_kernel_range,
    unmap_kernel_range_noflush,
    vcalloc,
    vfree,
    vm_area_add_early,
    vm_area_register_early,
    vm_map_ram,
    vm_struct,
    vm_unmap_aliases,
    vm_unmap_ram,
    vmalloc,
    vmalloc_32,
    vmalloc_32_user,
    vmalloc_array,
    vmalloc_exec,
    vmalloc_huge,
    vmalloc_init,
    vmalloc_sync_all,
    vmalloc_to_page,
    vmalloc_to_pfn,
    vmalloc_user,
    vmap,
    vmlist,
    vmlist_lock,
    vread,
    vunmap,
    vwrite,
    vzalloc,
)
from kmock.mm import util


def kinds(k):
    return [report.kind for report in k.reports]


def test_area_is_made_of_real_pages():
    with kmock.boot() as k:
        p = vmalloc(10000)
        assert is_vmalloc_addr(p)
        p[4090:4110] = bytes(range(20))
        page = vmalloc_to_page(p + 4096)
        assert k.ram.bytes[page.phys : page.phys + 14].tobytes() == bytes(range(6, 20))
        assert vmalloc_to_pfn(p + 4096) == page.pfn
        assert vmalloc_to_page(p + 3 * 4096) == NULL
        vfree(p)
        assert vmalloc_to_page(p) == NULL
        assert not k.reports


def test_pages_come_back():
    with kmock.boot() as k:
        vfree(vmalloc(1 << 20))
        k.page_alloc.drain_all_pages()
        before = k.page_alloc.nr_free_pages
        p = vzalloc(1 << 20)
        assert p[0:16] == bytes(16)
        vfree(p)
        k.page_alloc.drain_all_pages()
        assert k.page_alloc.nr_free_pages == before


def test_areas_do_not_overlap_and_addresses_come_back_after_a_purge():
    with kmock.boot() as k:
        areas = [vmalloc(n * 4096) for n in (1, 2, 3)]
        spans = sorted((int(p), p.origin.top) for p in areas)
        assert all(a[1] <= b[0] for a, b in pairwise(spans))
        first = int(areas[0])
        for p in areas:
            vfree(p)
        assert int(vmalloc(4096)) != first
        k.vmalloc.purge()
        assert int(vmalloc(4096)) == first
        k.vmalloc.purge()
        assert len(k.vmalloc.living()) == 2
        for area in k.vmalloc.living():
            k.vmalloc.remove(area)


def test_guard_page_faults():
    with kmock.boot() as k:
        p = vmalloc(4096)
        with pytest.raises(kmock.KernelOops):
            p[4096] = 1
        assert kinds(k) == ["vmalloc-out-of-bounds"]
        vfree(p)


def test_stale_area_faults():
    with kmock.boot() as k:
        p = vmalloc(4096)
        vfree(p)
        with pytest.raises(kmock.KernelOops):
            p[0]
        assert kinds(k) == ["vmalloc-use-after-free"]


def test_too_large_for_the_machine():
    with kmock.boot() as k:
        assert not vmalloc(1 << 30)
        assert "exceeds total pages" in k.dmesg()
        assert not k.reports


def test_vmalloc_in_interrupt_is_a_bug():
    with kmock.boot() as k:
        with pytest.raises(kmock.KernelPanic), k.hardirq():
            vmalloc(4096)
        assert kinds(k)[-1] == "vmalloc-atomic"


def test_kvmalloc_takes_what_fits():
    with kmock.boot() as k:
        small, large = kvmalloc(100, GFP_KERNEL), kvmalloc(8 << 20, GFP_KERNEL)
        assert [is_vmalloc_addr(p) for p in (small, large)] == [False, True]
        assert not kvmalloc(8 << 20, GFP_NOWAIT)
        assert not kvmalloc(1 << 32, GFP_KERNEL | __GFP_NOWARN)
        kvfree(small)
        kvfree(large)
        kvfree(NULL)
        assert not k.reports


def test_kvrealloc_and_its_kin():
    with kmock.boot() as k:
        p = kvzalloc(100, GFP_KERNEL)
        p[0:3] = b"abc"
        q = kvrealloc(p, 100, 9000, GFP_KERNEL)
        assert q[0:4] == b"abc\0"
        assert kvrealloc(q, 9000, 10, GFP_KERNEL) == q
        kvfree_sensitive(q, 9000)
        assert not kvcalloc(1 << 40, 1 << 40, GFP_KERNEL)
        assert not k.reports


def test_kvmalloc_memory_given_to_vfree():
    with kmock.boot() as k:
        p = kvmalloc(8 << 20, GFP_KERNEL | __GFP_ZERO)
        vfree(p)
        assert kinds(k) == ["kvfree-mismatch"]


def test_kmalloc_memory_given_to_kvfree_is_fine():
    with kmock.boot() as k:
        kvfree(kmalloc(64, GFP_KERNEL))
        assert not k.reports


def test_copies():
    with kmock.boot() as k:
        p = util.kstrdup(k, "name", GFP_KERNEL)
        assert p[0:5] == b"name\0"
        q = util.kmemdup(k, p, 4, GFP_KERNEL)
        assert q[0:4] == b"name"
        r = util.kstrndup(k, p, 2, GFP_KERNEL)
        assert r[0:3] == b"na\0"
        n = util.kmemdup_nul(k, p, 3, GFP_KERNEL)
        assert n[0:4] == b"nam\0"
        assert util.kstrdup_const(k, "literal", GFP_KERNEL) == "literal"
        assert util.kstrdup(k, None, GFP_KERNEL) == NULL
        for x in (p, q, r, n):
            kfree(x)
        assert not k.reports


def test_copies_from_users():
    with kmock.boot() as k:
        u = k.user().buffer(b"from user\0")
        p = util.memdup_user(k, u, 9)
        assert p[0:9] == b"from user"
        q = util.memdup_user_nul(k, u, 4)
        assert q[0:5] == b"from\0"
        s = util.strndup_user(k, u, 100)
        assert s[0:10] == b"from user\0"
        assert util.strndup_user(k, u, 4) == (1 << 64) - 22
        assert util.memdup_user(k, 0, 9) == (1 << 64) - 14
        for x in (p, q, s):
            kfree(x)


# -- address space ------------------------------------------------------------------------------------------------


def test_lowest_gap_that_fits_is_taken():
    with kmock.boot() as k:
        areas = [vmalloc(n * 4096) for n in (1, 4, 1, 2, 1)]
        holes = [int(areas[1]), int(areas[3])]
        vfree(areas[1])
        vfree(areas[3])
        vm_unmap_aliases()
        small, large = vmalloc(3 * 4096 + 1), vmalloc(2 * 4096)
        assert [int(small), int(large)] == holes
        for p in (small, large, *areas[::2]):
            vfree(p)
        assert not k.reports


def test_address_space_runs_out_and_comes_back():
    with kmock.boot() as k:
        half = 20 << 40
        first = get_vm_area(half, VM_MAP)
        assert not get_vm_area(half, VM_MAP)
        assert f"vmap allocation for size {half + 4096} failed: use vmalloc=<size> to increase size" in k.dmesg()
        free_vm_area(first)
        again = get_vm_area(half, VM_MAP)
        assert again
        free_vm_area(again)
        assert not k.reports


def test_32_bit_space_is_small():
    with kmock.boot("highmem") as k:
        areas = []
        while (area := get_vm_area(16 << 20, VM_MAP)) != NULL:
            areas.append(area)
        assert 4 <= len(areas) <= 7
        assert not vmalloc(32 << 20)
        assert "vm_struct allocation failed" in k.dmesg()
        for area in areas:
            free_vm_area(area)
        assert not k.reports


def test_failure_halfway_gives_everything_back():
    with kmock.boot(memory="64M") as k:
        vm_unmap_aliases()
        k.page_alloc.drain_all_pages()
        before = k.page_alloc.nr_free_pages
        assert not __vmalloc(k.page_alloc.nr_free_pages * 4096 + (1 << 20), GFP_KERNEL | __GFP_NOWARN)
        k.page_alloc.drain_all_pages()
        assert k.page_alloc.nr_free_pages == before
        assert not k.vmalloc.living()
        assert not k.reports


def test_bounds_and_alignment():
    with kmock.boot() as k:
        start = k.layout.vmalloc_start + (5 << 30)
        p = __vmalloc_node_range(100, 1 << 16, start + 1, start + (1 << 20), GFP_KERNEL, PAGE_KERNEL, 0, -1)
        assert int(p) == start + (1 << 16)
        assert not __vmalloc_node_range(1 << 21, 1, start, start + (1 << 20), GFP_KERNEL, PAGE_KERNEL, 0, -1)
        q = __vmalloc_node(100, 1 << 20, GFP_KERNEL, -1)
        assert int(q) % (1 << 20) == 0
        vfree(p)
        vfree(q)


def test_flavours():
    with kmock.boot(memory="6G") as k:
        user, low, low_user, run = vmalloc_user(100), vmalloc_32(100), vmalloc_32_user(100), vmalloc_exec(100)
        huge, array, zeroed = vmalloc_huge(3 << 20, GFP_KERNEL), vmalloc_array(3, 5000), vcalloc(3, 5000)
        assert [bool(find_vm_area(p).flags & VM_USERMAP) for p in (user, low, low_user)] == [True, False, True]
        assert user[0:100] == low_user[0:100] == bytes(100)
        assert all(vmalloc_to_page(p).phys < 1 << 32 for p in (low, low_user))
        assert not k.mmu.entries[int(run) >> 12] & PTE_NX
        assert int(huge) % (2 << 20) == 0
        assert zeroed[0:15000] == bytes(15000)
        assert not vmalloc_array(1 << 40, 1 << 40)
        for p in (user, low, low_user, run, huge, array, zeroed):
            vfree(p)
        assert not k.reports


# -- mappings -----------------------------------------------------------------------------------------------------


def test_vmap_that_fails_is_undone():
    with kmock.boot() as k:
        pages = [alloc_page(GFP_KERNEL) for _ in range(2)]
        with k.expect("vmap-null-page"):
            assert not vmap([*pages, None], 3, VM_MAP, PAGE_KERNEL)
        with k.expect("vmap-null-page"):
            assert not vm_map_ram([*pages, None], 3, -1)
        assert not k.vmalloc.living()
        for page in pages:
            __free_page(page)


def test_what_is_stored_through_a_mapping_counts_as_written():
    with kmock.boot() as k:
        page = alloc_page(GFP_KERNEL)
        v = vmap([page], 1, VM_MAP, PAGE_KERNEL)
        v[0:4] = b"seen"
        assert page_address(page)[0:4] == b"seen"
        assert copy_to_user(k.user().buffer(bytes(4)), page_address(page), 4) == 0
        vunmap(v)
        __free_page(page)
        assert not k.reports


def test_blocks_are_given_up_when_all_of_them_was_used():
    with kmock.boot(cpus=2) as k:
        page = alloc_page(GFP_KERNEL)
        first = vm_map_ram([page], 1, -1)
        with k.on_cpu(1):
            other = vm_map_ram([page], 1, -1)
        assert int(other) - int(first) >= 4 << 20
        vm_unmap_ram(other, 1)
        vm_unmap_ram(first, 1)
        # Not at once, though nothing is mapped any more.
        again = vm_map_ram([page], 1, -1)
        assert int(again) == int(first) + 4096
        vm_unmap_ram(again, 1)
        assert len(k.vmalloc.blocks.ranges()) == 2
        vm_unmap_aliases()
        assert k.vmalloc.blocks.ranges() == []
        __free_page(page)
        assert not k.reports


def test_stale_alias_before_the_flush_is_a_finding():
    with kmock.boot() as k:
        page = alloc_page(GFP_KERNEL)
        v = vm_map_ram([page], 1, -1)
        vm_unmap_ram(v, 1)
        with pytest.raises(kmock.KernelOops):
            v[0]
        assert kinds(k) == ["vmalloc-use-after-free"]
        __free_page(page)


@pytest.mark.parametrize(
    ("address", "line"), [(0, 2281), (0x1000, 2282), (0xFFFF_FFFF_0000_0000, 2283), (0xFFFF_C900_0000_0008, 2284)]
)
def test_vm_unmap_ram_of_nonsense_is_a_bug(address, line):
    with kmock.boot() as k:
        with pytest.raises(kmock.KernelOops):
            vm_unmap_ram(Ptr(address), 1)
        assert f"kernel BUG at mm/vmalloc.c:{line}!" in k.dmesg()
        assert kinds(k) == ["vm-unmap-ram-mismatch"]


def test_vfree_of_a_vm_map_ram_mapping():
    with kmock.boot() as k:
        page = alloc_page(GFP_KERNEL)
        v = vm_map_ram([page], 1, -1)
        vfree(v)
        assert kinds(k) == ["vfree-of-vmap"]
        assert "vm_unmap_ram()" in k.reports[0].hint
        vm_unmap_ram(v, 1)
        __free_page(page)


def test_ranges_of_older_kernels():
    with kmock.boot() as k:
        pages = [alloc_page(GFP_KERNEL) for _ in range(2)]
        area = get_vm_area(2 * 4096, VM_MAP)
        assert map_vm_area(area, PAGE_KERNEL, pages) == 0
        area.addr[4096] = 7
        assert page_address(pages[1])[0] == 7
        with k.expect("vmap-null-page"):
            assert map_kernel_range_noflush(int(area.addr), 4096, PAGE_KERNEL, pages) == -16
        unmap_kernel_range_noflush(int(area.addr), 4096)
        assert map_kernel_range_noflush(int(area.addr), 4096, PAGE_KERNEL, pages[1:]) == 0
        unmap_kernel_range(int(area.addr), 2 * 4096)
        assert vmalloc_to_page(area.addr) == NULL
        free_vm_area(area)
        with k.expect("vmalloc-zero-size"), pytest.raises(kmock.KernelOops):
            unmap_kernel_range(k.layout.vmalloc_start, 0)
        for page in pages:
            __free_page(page)


# -- areas --------------------------------------------------------------------------------------------------------


def test_ptes_of_an_area():
    with kmock.boot() as k:
        ptes = []
        area = alloc_vm_area(10000, ptes)
        assert (len(ptes), ptes[2].val) == (3, 0)
        page = alloc_page(GFP_KERNEL)
        ptes[2].val = page.pfn << 12 | PAGE_KERNEL
        area.addr[8192] = 5
        assert page_address(page)[0] == 5
        free_vm_area(area)
        __free_page(page)
        assert not k.reports


def test_removed_area_leaves_its_struct_to_the_caller():
    with kmock.boot() as k:
        area = get_vm_area(4096, VM_MAP)
        assert find_vm_area(area.addr) == area
        removed = remove_vm_area(area.addr)
        assert removed == area
        assert not find_vm_area(removed.addr)
        assert not remove_vm_area(removed.addr)
        kfree(removed)
        assert not k.reports
        remove_vm_area(get_vm_area(4096, VM_MAP).addr)
    assert kinds(k) == ["leak-unreachable"]


def test_struct_goes_with_its_area():
    with kmock.boot() as k:
        p = vmalloc(100)
        area = find_vm_area(p)
        assert (area.nr_pages, get_vm_area_size(area)) == (1, 4096)
        vfree(p)
        with k.expect("slab-use-after-free-read"):
            area.size


def test_freeing_an_area_twice_is_a_bug():
    with kmock.boot() as k:
        area = get_vm_area(4096, VM_MAP)
        other = vm_struct()
        other.addr = area.addr
        with k.expect("vfree-double"), pytest.raises(kmock.KernelOops):
            free_vm_area(other)
        free_vm_area(area)


def test_vmlist():
    with kmock.boot() as k:
        assert not vmlist
        areas = [vmalloc(n * 4096) for n in (1, 2, 3)]
        read_lock(vmlist_lock)
        assert [int(area.addr) for area in vmlist] == [int(p) for p in areas]
        assert vmlist.size == 8192
        assert vm_struct.at(vmlist.next).size == 3 * 4096
        read_unlock(vmlist_lock)
        for p in areas:
            vfree(p)
        assert not k.reports


def test_congruent_areas():
    with kmock.boot() as k:
        top = k.vmalloc.space.end
        first = pcpu_get_vm_areas([0, 1 << 20], [8192, 8192], 2, 4096)
        assert [int(area.addr) for area in first] == [top - (1 << 20) - 8192, top - 8192]
        second = pcpu_get_vm_areas([0, 1 << 20], [8192, 8192], 2, 4096)
        assert [int(b.addr) - int(a.addr) for a, b in zip(second, first, strict=True)] == [8192, 8192]
        pcpu_free_vm_areas(first, 2)
        pcpu_free_vm_areas(second, 2)
        with k.expect("percpu-bad-size"), pytest.raises(kmock.KernelOops):
            pcpu_get_vm_areas([0, 4096], [8192, 8192], 2, 4096)


def test_areas_of_the_boot():
    with kmock.boot() as k:
        fixed, found = vm_struct(), vm_struct()
        fixed.addr = Ptr(k.layout.vmalloc_start + 4096)
        fixed.size = found.size = 8192
        fixed.flags = found.flags = VM_ALLOC
        with k.vmalloc.structs.booting():
            vm_area_add_early(fixed)
            vm_area_register_early(found, 4096)
        assert int(found.addr) == int(fixed.addr) + 8192
        p = vmalloc(4096)
        assert int(p) == int(found.addr) + 8192
        vfree(p)
        with k.expect("driver-bug"), pytest.raises(kmock.KernelOops):
            vm_area_register_early(found, 4096)


def test_the_early_part_of_the_boot_ends_with_vmalloc_init():
    with kmock.boot() as k:
        area = vm_struct()
        area.size, area.flags = 4096, VM_ALLOC
        with k.vmalloc.structs.booting():
            vm_area_register_early(area, 4096)
            vmalloc_init()
            assert find_vm_area(area.addr).addr == area.addr


# -- reading across, and the file ---------------------------------------------------------------------------------


def test_vread_and_vwrite_step_over_holes():
    with kmock.boot() as k:
        a, b = vmalloc(4096), vmalloc(4096)
        buf = kzalloc(3 * 4096, GFP_KERNEL)
        buf[0 : 3 * 4096] = bytes(range(256)) * 48
        assert vwrite(buf, a, 3 * 4096) == 3 * 4096
        assert (a[1], b[2]) == (1, 2)
        memset(buf, 0xFF, 3 * 4096)
        assert vread(buf, a, 3 * 4096) == 3 * 4096
        assert buf[4096:8192] == bytes(4096)
        assert buf[8192:8195] == b"\0\1\2"
        assert vread(buf, k.layout.vmalloc_start + (1 << 40), 10) == 0
        assert vwrite(buf, a + 4096, 4096) == 0
        for p in (a, b):
            vfree(p)
        kfree(buf)
        assert not k.reports


def test_vmallocinfo_shows_what_is_not_purged():
    with kmock.boot() as k:
        p, q = vmalloc(4096), vmalloc(4096)
        vfree(q)
        lines = k.read_file("/proc/vmallocinfo").splitlines()
        assert lines[0].endswith("pages=1 vmalloc N0=1")
        assert lines[1] == f"0x{int(q):016x}-0x{int(q) + 8192:016x}    8192 unpurged vm_area"
        vfree(p)


# -- contexts -----------------------------------------------------------------------------------------------------


def test_area_lives_on_until_the_deferred_vfree_ran():
    with kmock.boot() as k:
        p = vmalloc(4096)
        with k.hardirq():
            vfree(p)
        assert find_vm_area(p)
        with k.expect("vmalloc-use-after-free"):
            p[0]
        k.advance(0.1)
        assert not find_vm_area(p)


def test_older_kernels_forbid_vfree_in_interrupts():
    with kmock.boot(version="3.7") as k:
        p = vmalloc(4096)
        with k.expect("vfree-atomic"), k.softirq():
            vfree(p)


def test_function_that_is_gone():
    with kmock.boot(version="6.1") as k:
        with k.expect("api-version"):
            vfree(vmalloc_exec(100))
        vmalloc_sync_all()
        assert kinds(k)[-1] == "api-version"


def test_vmalloc_to_page_of_another_address_is_a_bug():
    with kmock.boot() as k:
        p = kzalloc(64, GFP_KERNEL)
        with k.expect("virt-to-page-bad"), pytest.raises(kmock.KernelOops):
            vmalloc_to_page(p)
        kfree(p)
