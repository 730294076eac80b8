"""Memory that drivers show to processes: frames, pages, vmalloc areas; how it is taken away and looked at."""

from __future__ import annotations

import errno
import mmap

import pytest

import kmock
from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, alloc_page, alloc_pages
from kmock.linux.gfp import __free_page as free_one_page
from kmock.linux.io import ioremap, ioremap_wc, iounmap, readl, writel
from kmock.linux.ioport import release_mem_region, request_mem_region
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.mm import (
    VM_FAULT_NOPAGE,
    VM_FAULT_SIGBUS,
    VM_MIXEDMAP,
    VM_PAT,
    VM_PFNMAP,
    ZERO_PAGE,
    SetPageReserved,
    access_process_vm,
    follow_pfn,
    follow_pte,
    generic_access_phys,
    io_remap_pfn_range,
    page_address,
    page_count,
    page_mapcount,
    page_to_pfn,
    page_to_phys,
    pte_pfn,
    pte_unmap_unlock,
    pte_val,
    put_page,
    remap_page_range,
    remap_pfn_range,
    split_page,
    unmap_mapping_pages,
    unmap_mapping_range,
    vm_insert_page,
    vm_insert_pages,
    vm_insert_pfn,
    vm_iomap_memory,
    vm_map_pages,
    vm_map_pages_zero,
    vm_operations_struct,
    vmf_insert_mixed,
    vmf_insert_mixed_mkwrite,
    vmf_insert_mixed_prot,
    vmf_insert_pfn,
    vmf_insert_pfn_prot,
    zap_page_range,
    zap_vma_ptes,
)
from kmock.linux.mmap_lock import mmap_read_lock, mmap_read_unlock
from kmock.linux.page_flags import ClearPageReserved
from kmock.linux.pfn_t import (
    PFN_DEV,
    PFN_MAP,
    PFN_SPECIAL,
    page_to_pfn_t,
    pfn_t_to_pfn,
    pfn_t_valid,
    pfn_to_pfn_t,
    phys_to_pfn_t,
)
from kmock.linux.pfn_t import __pfn_to_pfn_t as pfn_with_flags
from kmock.linux.pgtable import pgprot_noncached, pgprot_writecombine
from kmock.linux.sched import current
from kmock.linux.slab import kfree, kzalloc
from kmock.linux.vmalloc import remap_vmalloc_range, remap_vmalloc_range_partial, vfree, vmalloc_user

PAGE = 4096
RW = mmap.PROT_READ | mmap.PROT_WRITE
BAR = 0xF000_0000
FIXED = 0x10
ZEROED = GFP_KERNEL | __GFP_ZERO


@pytest.fixture
def k():
    with kmock.boot() as k:
        yield k
    assert not k.reports.unexpected


class Device:
    """``/dev/dev``, whose mmap handler is ``map``; two processes can have it open."""

    def __init__(self, k):
        self.k = k
        self.map = lambda vma: 0
        misc_register(miscdevice(name="dev", fops=file_operations(mmap=lambda filp, vma: self.map(vma))))
        self.p = k.user()
        self.fd = self.p.open("/dev/dev")

    def mmap(self, npages=1, prot=RW, flags=mmap.MAP_SHARED, offset=0):
        return self.p.mmap(self.fd, npages * PAGE, prot, flags, offset)

    def faults(self, fault, flags=0):
        def handler(vma):
            vma.vm_ops = vm_operations_struct(fault=fault)
            vma.vm_flags |= flags
            return 0

        self.map = handler

    def vma(self, address):
        return self.p.mm.vma_lookup(address)


@pytest.fixture
def d(k):
    return Device(k)


@pytest.fixture
def pages(k):
    first = alloc_pages(ZEROED, 2)
    split_page(first, 2)
    made = [first + i for i in range(4)]
    for i, page in enumerate(made):
        page_address(page)[0:PAGE] = bytes([65 + i]) * PAGE
    yield made
    k.processes[0].exit()
    for page in made:
        free_one_page(page)


def remap_whole(vma, pfn, prot=None):
    size = vma.vm_end - vma.vm_start
    return remap_pfn_range(vma, vma.vm_start, pfn, size, vma.vm_page_prot if prot is None else prot)


class TestSharing:
    def test_driver_device_and_two_processes_see_each_other_byte_for_byte(self, k, d):
        """The same memory, whoever writes it: registers by vm_iomap_memory, a page by vm_insert_page."""
        k.mmio(BAR, PAGE)
        regs = ioremap(BAR, PAGE)
        page = alloc_page(ZEROED)
        d.map = lambda vma: vm_iomap_memory(vma, BAR, PAGE)
        other = k.user()
        fds = {d.p: d.fd, other: other.open("/dev/dev")}
        io = {p: p.mmap(fd, PAGE, RW, mmap.MAP_SHARED) for p, fd in fds.items()}
        d.map = lambda vma: vm_insert_page(vma, vma.vm_start, page)
        ram = {p: p.mmap(fd, PAGE, RW, mmap.MAP_SHARED) for p, fd in fds.items()}
        d.p.store(io[d.p] + 8, b"\1\2\3\4")
        assert readl(regs + 8) == 0x04030201
        assert other.load(io[other] + 8, 4) == b"\1\2\3\4"
        writel(0x0A0B0C0D, regs + 12)
        assert {p.load(io[p] + 12, 4) for p in fds} == {b"\x0d\x0c\x0b\x0a"}
        whole = bytes(range(256)) * 16
        other.store(ram[other], whole)
        assert page_address(page)[0:PAGE] == whole
        page_address(page)[100:105] = b"hello"
        assert {p.load(ram[p] + 98, 9) for p in fds} == {whole[98:100] + b"hello" + whole[105:107]}
        for p in list(fds):
            p.exit()
        iounmap(regs)
        free_one_page(page)

    def test_a_page_goes_with_its_last_user(self, k, d):
        page = alloc_page(ZEROED)
        d.map = lambda vma: vm_insert_page(vma, vma.vm_start, page)
        address = d.mmap()
        put_page(page)
        assert (page_count(page), page_mapcount(page)) == (1, 1)
        assert d.p.load(address, 1) == b"\0"
        d.p.munmap(address, PAGE)
        assert page_count(page) == 0


class TestFrames:
    def test_a_device_behind_its_first_page(self, k, d):
        k.mmio(BAR, 4 * PAGE)
        regs = ioremap(BAR, 4 * PAGE)
        writel(7, regs + 2 * PAGE)
        d.map = lambda vma: vm_iomap_memory(vma, BAR, 4 * PAGE)
        address = d.mmap(offset=2 * PAGE)
        assert d.p.load(address, 4) == b"\7\0\0\0"
        with pytest.raises(OSError, match="Invalid argument"):
            d.mmap(offset=4 * PAGE)
        with pytest.raises(OSError, match="Invalid argument"):
            d.mmap(4, offset=PAGE)
        iounmap(regs)

    def test_io_remap(self, k, d):
        k.mmio(BAR, PAGE)
        d.map = lambda vma: io_remap_pfn_range(vma, vma.vm_start, BAR >> 12, PAGE, pgprot_noncached(vma.vm_page_prot))
        address = d.mmap()
        assert d.vma(address).vm_flags & VM_PAT
        d.p.store(address, b"\1")
        d.p.munmap(address, PAGE)

    def test_the_old_call_shows_reserved_ram(self, d, pages):
        SetPageReserved(pages[0])
        d.map = lambda vma: remap_page_range(vma, vma.vm_start, page_to_phys(pages[0]), PAGE, vma.vm_page_prot)
        address = d.mmap()
        assert d.p.load(address, 2) == b"AA"
        d.p.munmap(address, PAGE)
        ClearPageReserved(pages[0])

    def test_the_old_call_shows_zeroes_for_other_ram(self, k, d, pages):
        d.map = lambda vma: remap_page_range(vma, vma.vm_start, page_to_phys(pages[0]), PAGE, vma.vm_page_prot)
        with k.expect("remap-wrong-pfn"):
            address = d.mmap()
        assert d.p.load(address, 2) == b"\0\0"

    def test_no_memory_for_a_page_table_leaves_nothing(self, k, d, pages):
        """The second page lies in the next page table, and there is no memory for that."""
        d.map = lambda vma: remap_whole(vma, page_to_pfn(pages[0]))
        k.faults.fail_page_alloc(times=-1, space=1, ignore_gfp_wait=False, min_order=0)
        with pytest.raises(OSError, match="Cannot allocate memory"):
            d.p.mmap(d.fd, 2 * PAGE, RW, mmap.MAP_SHARED | FIXED, addr=0x201F_F000)
        k.faults.clear()
        assert not d.p.mm.pte(0x201F_F000)

    def test_an_offset_that_selects_a_buffer_is_looked_at(self, d, pages):
        d.map = lambda vma: remap_whole(vma, page_to_pfn(pages[vma.vm_pgoff]))
        assert d.p.load(d.mmap(offset=3 * PAGE), 1) == b"D"

    def test_part_of_a_page_shows_the_neighbours(self, k, d):
        small = kzalloc(64, GFP_KERNEL)
        d.map = lambda vma: remap_whole(vma, (int(small) - k.layout.page_offset) >> 12)
        with k.expect("mmap-size-unchecked"):
            address = d.mmap()
        d.p.munmap(address, PAGE)
        kfree(small)

    def test_beyond_the_device(self, k, d):
        k.mmio(BAR, PAGE)
        d.map = lambda vma: remap_whole(vma, BAR >> 12)
        with k.expect("mmap-size-unchecked", count=1) as found:
            d.mmap(2)
        assert "the device at 0xf0000000 has 4096" in found[0].lines[0]

    def test_freed_slab_memory(self, k, d):
        buffer = kzalloc(PAGE, GFP_KERNEL)
        d.map = lambda vma: remap_whole(vma, (int(buffer) - k.layout.page_offset) >> 12)
        d.mmap()
        with k.expect("remap-ram-then-free", count=1):
            kfree(buffer)

    def test_a_child_that_still_sees_it(self, k, d):
        page = alloc_page(ZEROED)
        d.map = lambda vma: remap_whole(vma, page_to_pfn(page))
        address = d.mmap()
        child = d.p.fork()
        d.p.munmap(address, PAGE)
        with k.expect("remap-ram-then-free", count=1):
            free_one_page(page)
        child.exit()


class TestCacheAttributes:
    @pytest.fixture
    def bar(self, k):
        k.mmio(BAR, PAGE)

    def test_the_same_everywhere(self, k, d, bar):
        fb = ioremap_wc(BAR, PAGE)
        d.map = lambda vma: remap_whole(vma, BAR >> 12, pgprot_writecombine(vma.vm_page_prot))
        d.p.munmap(d.mmap(), PAGE)
        iounmap(fb)

    def test_one_that_the_kernel_uses_otherwise(self, k, d, bar):
        regs = ioremap(BAR, PAGE)
        d.map = lambda vma: remap_whole(vma, BAR >> 12, pgprot_writecombine(vma.vm_page_prot))
        with k.expect("mmap-cache-attr", count=1) as found:
            d.mmap()
        assert "write-combining" in found[0].lines[0]
        iounmap(regs)

    def test_ram_is_write_back(self, k, d, pages):
        d.map = lambda vma: remap_whole(vma, page_to_pfn(pages[0]), pgprot_noncached(vma.vm_page_prot))
        with k.expect("mmap-cache-attr", count=1) as found:
            d.mmap()
        assert found[0].headline.startswith("x86/PAT: user:")
        assert "map pfn RAM range req uncached-minus for [mem " in found[0].headline
        assert found[0].headline.endswith("got write-back")

    def test_a_process_that_goes_frees_the_attribute(self, k, d, bar):
        d.map = lambda vma: remap_whole(vma, BAR >> 12, pgprot_writecombine(vma.vm_page_prot))
        d.mmap()
        child = d.p.fork()
        d.p.exit()
        child.exit()
        regs = ioremap(BAR, PAGE)
        assert regs
        iounmap(regs)


class TestPages:
    def test_maps_of_an_object(self, d, pages):
        d.map = lambda vma: vm_map_pages(vma, pages, 4)
        address = d.mmap(2, offset=2 * PAGE)
        assert d.p.load(address, 1) + d.p.load(address + PAGE, 1) == b"CD"
        d.map = lambda vma: vm_map_pages_zero(vma, pages, 4)
        assert d.p.load(d.mmap(4, offset=9 * PAGE), 1) == b"A"
        with pytest.raises(OSError, match="No such device or address"):
            d.mmap(5)

    def test_several_at_once(self, d, pages):
        left = []

        def handler(vma):
            err, n = vm_insert_pages(vma, vma.vm_start, pages, 4)
            left.append(n)
            return err

        d.map = handler
        address = d.mmap(4)
        assert left == [0]
        assert d.p.load(address + 3 * PAGE, 1) == b"D"

    def test_none_at_all_ends_below_the_area(self, k, d, pages):
        results = []

        def handler(vma):
            results.append(vm_insert_pages(vma, vma.vm_start, pages, 0))
            return 0

        d.map = handler
        d.mmap()
        assert results == [(0, 0)]

    def test_vmalloc_in_part(self, d):
        buffer = vmalloc_user(4 * PAGE)
        buffer[2 * PAGE : 2 * PAGE + 3] = b"two"
        d.map = lambda vma: remap_vmalloc_range_partial(vma, vma.vm_start + PAGE, buffer, 2, PAGE)
        address = d.mmap(2)
        assert d.p.load(address + PAGE, 3) == b"two"
        with pytest.raises(kmock.UserSignal, match="SIGBUS"):
            d.p.load(address, 1)
        d.map = lambda vma: remap_vmalloc_range(vma, buffer, vma.vm_pgoff)
        assert d.p.load(d.mmap(offset=2 * PAGE), 3) == b"two"
        d.p.exit()
        vfree(buffer)


class TestSingleFrames:
    def test_before_4_20(self, d, pages):
        results = []

        def fault(vmf):
            results.append(vm_insert_pfn(vmf.vma, vmf.address, page_to_pfn(pages[vmf.pgoff])))
            results.append(vm_insert_pfn(vmf.vma, vmf.address, page_to_pfn(pages[vmf.pgoff])))
            return VM_FAULT_NOPAGE

        d.faults(fault, VM_PFNMAP)
        assert d.p.load(d.mmap(), 1) == b"A"
        assert results == [0, -errno.EBUSY]

    def test_with_another_protection(self, d, pages):
        d.faults(
            lambda vmf: vmf_insert_pfn_prot(vmf.vma, vmf.address, page_to_pfn(pages[0]), vmf.vma.vm_page_prot & ~2),
            VM_PFNMAP,
        )
        address = d.mmap()
        assert d.p.load(address, 1) == b"A"
        assert not d.p.mm.pte(address) & 2

    def test_mixed(self, d, pages):
        calls = {
            0: lambda vmf: vmf_insert_mixed(vmf.vma, vmf.address, page_to_pfn_t(pages[0])),
            1: lambda vmf: vmf_insert_mixed_prot(vmf.vma, vmf.address, page_to_pfn_t(pages[1]), vmf.vma.vm_page_prot),
            2: lambda vmf: vmf_insert_mixed_mkwrite(vmf.vma, vmf.address, page_to_pfn_t(pages[2])),
        }
        d.faults(lambda vmf: calls[vmf.pgoff](vmf) if vmf.pgoff in calls else VM_FAULT_SIGBUS, VM_MIXEDMAP)
        address = d.mmap(4)
        assert b"".join(d.p.load(address + i * PAGE, 1) for i in range(3)) == b"ABC"
        assert d.p.mm.pte(address + 2 * PAGE) & 0x40

    def test_frame_numbers_with_flags(self, k, pages):
        pfn = page_to_pfn(pages[0])
        assert pfn_to_pfn_t(pfn) == page_to_pfn_t(pages[0]) == pfn
        device = phys_to_pfn_t(BAR, PFN_DEV | PFN_MAP)
        assert pfn_t_to_pfn(device) == BAR >> 12
        assert not pfn_t_valid(device)
        assert pfn_t_valid(pfn_with_flags(pfn, PFN_SPECIAL))
        k.user()


class TestTakingAway:
    def test_frames(self, k, d, pages):
        d.map = lambda vma: remap_whole(vma, page_to_pfn(pages[0]))
        address = d.mmap(2)
        mmap_read_lock(d.p.mm)
        assert zap_vma_ptes(d.vma(address), address, PAGE) == 0
        mmap_read_unlock(d.p.mm)
        with pytest.raises(kmock.UserSignal, match="SIGBUS"):
            d.p.load(address, 1)
        assert d.p.load(address + PAGE, 1) == b"B"

    def test_pages_come_back_when_they_are_faulted_in(self, k, d, pages):
        def fault(vmf):
            pages[0]._refcount += 1
            vmf.page = pages[0]
            return 0

        d.faults(fault)
        address = d.mmap()
        assert d.p.load(address, 1) == b"A"
        mmap_read_lock(d.p.mm)
        zap_page_range(d.vma(address), address, PAGE)
        mmap_read_unlock(d.p.mm)
        assert page_mapcount(pages[0]) == 0
        assert d.p.load(address, 1) == b"A"
        unmap_mapping_pages(d.vma(address).vm_file.f_mapping, 0, 1, False)
        assert page_mapcount(pages[0]) == 0

    def test_a_device_goes(self, k, d):
        k.mmio(BAR, PAGE)
        assert request_mem_region(BAR, PAGE, "dev")
        d.map = lambda vma: vm_iomap_memory(vma, BAR, PAGE)
        address = d.mmap()
        unmap_mapping_range(d.vma(address).vm_file.f_mapping, 0, 0, 1)
        release_mem_region(BAR, PAGE)
        with pytest.raises(kmock.UserSignal, match="SIGBUS"):
            d.p.load(address, 1)


class TestLooking:
    def test_entries(self, d, pages):
        d.map = lambda vma: remap_whole(vma, page_to_pfn(pages[0]))
        address = d.mmap(2)
        mmap_read_lock(d.p.mm)
        err, ptep, ptl = follow_pte(d.p.mm, address + PAGE)
        assert err == 0
        assert pte_pfn(ptep[0]) == page_to_pfn(pages[1])
        assert pte_val(ptep.value) == d.p.mm.pte(address + PAGE)
        pte_unmap_unlock(ptep, ptl)
        assert follow_pfn(d.vma(address), address) == (0, page_to_pfn(pages[0]))
        assert follow_pte(d.p.mm, 0x1000) == (-errno.EINVAL, None, None)
        mmap_read_unlock(d.p.mm)

    def test_what_a_debugger_sees_of_a_device(self, k, d):
        k.mmio(BAR, PAGE)

        def handler(vma):
            vma.vm_ops = vm_operations_struct(access=generic_access_phys)
            return vm_iomap_memory(vma, BAR, PAGE)

        d.map = handler
        address = d.mmap()
        d.p.store(address + 4, b"regs")
        buffer = bytearray(4)
        assert access_process_vm(current(), address + 4, buffer, 4, 0) == 4
        assert buffer == b"regs"
        assert access_process_vm(current(), address + 4, bytearray(b"poke"), 4, 1) == 4
        assert d.p.load(address + 4, 4) == b"poke"

    def test_the_zero_page_has_no_driver(self, k):
        k.user()
        assert ZERO_PAGE(0).test(12)


def test_fault_that_inserts_a_frame_outside_is_told(k, d, pages):
    d.faults(lambda vmf: vmf_insert_pfn(vmf.vma, vmf.vma.vm_end, page_to_pfn(pages[0])), VM_PFNMAP)
    address = d.mmap()
    with k.expect("insert-page-outside"), pytest.raises(kmock.UserSignal, match="SIGBUS"):
        d.p.load(address, 1)


def test_remapping_in_a_fault_handler_changes_flags_without_the_lock(k, d, pages):
    def fault(vmf):
        remap_pfn_range(vmf.vma, vmf.address, page_to_pfn(pages[0]), PAGE, vmf.vma.vm_page_prot)
        return VM_FAULT_NOPAGE

    d.faults(fault)
    address = d.mmap()
    with k.expect("insert-page-unlocked", count=1):
        assert d.p.load(address, 1) == b"A"


def test_a_part_of_a_vmalloc_area_that_is_taken_for_the_whole(k, d):
    buffer = vmalloc_user(2 * PAGE)

    def handler(vma):
        remap_vmalloc_range(vma, buffer, 0)
        return 0

    d.map = handler
    below = d.p.mmap(-1, PAGE, RW, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | FIXED, addr=0x201F_E000)
    d.p.store(below, b"the page table of the first page is there")
    k.faults.fail_page_alloc(times=1, ignore_gfp_wait=False, min_order=0)
    with k.expect("remap-not-reset-on-error", count=1):
        d.p.mmap(d.fd, 2 * PAGE, RW, mmap.MAP_SHARED | FIXED, addr=0x201F_F000)
    d.p.exit()
    vfree(buffer)


def test_a_mapping_that_outlives_the_module(k, tmp_path):
    (tmp_path / "orphan.py").write_text(
        "from kmock.linux.fs import file_operations\n"
        "from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice\n"
        "from kmock.linux.mm import VM_FAULT_SIGBUS, vm_operations_struct\n"
        "from kmock.linux.module import module_exit, module_init\n"
        "ops = vm_operations_struct(fault=lambda vmf: VM_FAULT_SIGBUS)\n"
        "def dev_mmap(filp, vma):\n    vma.vm_ops = ops\n    return 0\n"
        "dev = miscdevice(name='orphan', fops=file_operations(mmap=dev_mmap))\n"
        "def start():\n    return misc_register(dev)\n"
        "def stop():\n    misc_deregister(dev)\n"
        "module_init(start)\nmodule_exit(stop)\n"
    )
    module = k.insmod(str(tmp_path / "orphan.py"))
    p = k.user()
    fd = p.open("/dev/orphan")
    address = p.mmap(fd, PAGE, RW, mmap.MAP_SHARED)
    p.close(fd)
    with k.expect("mmap-not-zapped", count=1) as found:
        k.rmmod(module)
    assert f"a mapping of /dev/orphan at {address:#x} is still active" in found[0].lines[0]
