"""``<linux/mm.h>``, ``<linux/mmap_lock.h>``, ``<linux/sched/mm.h>``: what a driver may ask of an address space."""

from __future__ import annotations

import mmap

import pytest

import kmock
from kmock.linux.errno import EINVAL, EPERM
from kmock.linux.mm import (
    MM_ANONPAGES,
    MM_FILEPAGES,
    MM_SHMEMPAGES,
    VM_MAYWRITE,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    ZERO_PAGE,
    PageAnon,
    PageReserved,
    access_process_vm,
    add_mm_counter,
    dec_mm_counter,
    find_vma,
    find_vma_intersection,
    get_mm_counter,
    inc_mm_counter,
    is_cow_mapping,
    linear_page_index,
    page_mapcount,
    vm_get_page_prot,
    vm_mmap,
    vm_munmap,
    vma_is_accessible,
    vma_is_anonymous,
    vma_lookup,
    vma_pages,
)
from kmock.linux.mman import MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE
from kmock.linux.mmap_lock import (
    mmap_assert_locked,
    mmap_assert_write_locked,
    mmap_read_lock,
    mmap_read_lock_killable,
    mmap_read_trylock,
    mmap_read_unlock,
    mmap_write_downgrade,
    mmap_write_lock,
    mmap_write_lock_killable,
    mmap_write_trylock,
    mmap_write_unlock,
)
from kmock.linux.rwsem import down_read, up_read
from kmock.linux.sched import current
from kmock.linux.sched.mm import get_task_mm, mmdrop, mmget, mmget_not_zero, mmgrab, mmput
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_to_user

RW = mmap.PROT_READ | mmap.PROT_WRITE
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
SHARED = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
FOLL_WRITE, FOLL_FORCE = 0x1, 0x10


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


@pytest.fixture
def p(k):
    return k.user()


@pytest.fixture
def mm(p):
    return p.mm


@pytest.fixture
def area(p):
    return p.mmap(-1, 8192, RW, PRIVATE)


class TestLookup:
    def test_find_vma_is_the_first_that_ends_behind(self, mm, area):
        mmap_read_lock(mm)
        assert find_vma(mm, area + 100).vm_start == area
        assert find_vma(mm, area - 1).vm_start == area  # which does not hold it
        assert find_vma(mm, area + 8192) is None
        assert find_vma_intersection(mm, area - 4096, area) is None
        assert find_vma_intersection(mm, area - 4096, area + 1).vm_end == area + 8192
        assert vma_lookup(mm, area - 1) is None
        mmap_read_unlock(mm)

    def test_what_an_area_is(self, mm, area):
        mmap_read_lock(mm)
        vma = vma_lookup(mm, area)
        mmap_read_unlock(mm)
        assert vma_pages(vma) == 2
        assert vma_is_anonymous(vma)
        assert vma_is_accessible(vma)
        assert linear_page_index(vma, area + 4096) == (area >> 12) + 1
        assert is_cow_mapping(vma.vm_flags)
        assert not is_cow_mapping(VM_SHARED | VM_MAYWRITE)

    def test_without_the_lock(self, k, mm, area):
        with k.expect("lock-assert-failed"), pytest.raises(kmock.KernelOops, match="mmap_assert_locked"):
            find_vma(mm, area)
        with k.expect("lock-assert-failed") as found:
            assert vma_lookup(mm, area) is not None
        assert found[0].where.function == "test_without_the_lock"

    def test_a_private_page_begins_read_only(self):
        assert vm_get_page_prot(VM_READ | VM_WRITE) == vm_get_page_prot(VM_READ)
        assert vm_get_page_prot(VM_READ | VM_WRITE | VM_SHARED) != vm_get_page_prot(VM_READ | VM_SHARED)
        assert not vm_get_page_prot(0) & 1


class TestMapping:
    def test_the_kernel_maps_for_the_process(self, p):
        address = vm_mmap(None, 0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0)
        p.store(address, b"x")
        assert vm_munmap(address, 4096) == 0
        assert not p.mm.maps(address)
        assert p.mm.maps(address + 4096)

    def test_refusals(self, p):
        assert vm_mmap(None, 0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, 1) == -EINVAL
        assert vm_mmap(None, 0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0) == -EPERM
        assert vm_munmap(1, 4096) == -EINVAL


class TestLock:
    def test_readers_and_a_writer(self, k, mm):
        mmap_read_lock(mm)
        mmap_assert_locked(mm)
        with k.on_cpu(1):
            assert mmap_read_trylock(mm)
            mmap_read_unlock(mm)
            assert not mmap_write_trylock(mm)
        mmap_read_unlock(mm)
        assert mmap_write_trylock(mm)
        mmap_assert_write_locked(mm)
        mmap_write_downgrade(mm)
        with k.on_cpu(1):
            assert mmap_read_lock_killable(mm) == 0
            mmap_read_unlock(mm)
        mmap_read_unlock(mm)
        assert mmap_write_lock_killable(mm) == 0
        mmap_write_unlock(mm)

    def test_the_name_it_had_before_5_8(self, mm, area):
        down_read(mm.mmap_sem)
        assert find_vma(mm, area).vm_start == area
        up_read(mm.mmap_sem)
        assert not mm.is_locked()

    def test_a_copy_may_need_it(self, k, p, mm):
        u = p.buffer(8)
        data = kzalloc(8, GFP_KERNEL)
        mmap_read_lock(mm)
        with k.expect("usercopy-under-lock"):
            assert copy_to_user(u, data, 8) == 0
        mmap_read_unlock(mm)
        kfree(data)

    def test_a_fault_needs_it(self, k, p, mm, area):
        data = kzalloc(8, GFP_KERNEL)
        mmap_write_lock(mm)
        with k.expect("usercopy-under-lock"), k.expect("lock-recursive"), pytest.raises(kmock.Deadlock):
            copy_to_user(area, data, 8)
        mmap_write_unlock(mm)
        kfree(data)

    def test_only_the_writer_may_change(self, k, mm):
        mmap_read_lock(mm)
        with k.expect("lock-assert-failed"):
            mmap_assert_write_locked(mm)
        mmap_read_unlock(mm)


class TestLifetime:
    def test_an_address_space_outlives_its_process(self, k, p, area):
        p.store(area, b"kept")
        mm = get_task_mm(p.task)
        p.exit()
        assert mm.rss[MM_ANONPAGES] == 1
        assert mmget_not_zero(mm)
        mmput(mm)
        mmgrab(mm)
        mmput(mm)
        assert mm.rss[MM_ANONPAGES] == 0
        assert not mmget_not_zero(mm)
        mmdrop(mm)

    def test_mmget(self, p, area):
        mmget(p.mm)
        p.exit()
        assert p.mm.maps(area)
        mmput(p.mm)
        assert not p.mm.maps(area)


class TestCounters:
    def test_pages_are_counted_by_kind(self, p, mm, area):
        p.store(area, b"x")
        p.load(area + 4096, 1)  # the zero page counts for nobody
        shared = p.mmap(-1, 4096, RW, SHARED)
        p.load(shared, 1)
        kinds = (MM_FILEPAGES, MM_ANONPAGES, MM_SHMEMPAGES)
        assert [get_mm_counter(mm, kind) for kind in kinds] == [0, 1, 1]

    def test_what_a_driver_counts(self, mm):
        inc_mm_counter(mm, MM_FILEPAGES)
        add_mm_counter(mm, MM_FILEPAGES, 2)
        dec_mm_counter(mm, MM_FILEPAGES)
        assert get_mm_counter(mm, MM_FILEPAGES) == 2
        add_mm_counter(mm, MM_FILEPAGES, -3)
        assert get_mm_counter(mm, MM_FILEPAGES) == 0  # never below zero
        add_mm_counter(mm, MM_FILEPAGES, 1)

    def test_pages(self, k, p, mm, area):
        p.store(area, b"x")
        page = k.memmap.page(mm.pte(area) >> 12 & 0xFFFFFFF)
        assert PageAnon(page)
        assert page_mapcount(page) == 1
        p.load(area + 4096, 1)
        assert k.memmap.page(mm.pte(area + 4096) >> 12 & 0xFFFFFFF) is ZERO_PAGE(0)
        assert PageReserved(ZERO_PAGE(0))
        assert not PageAnon(ZERO_PAGE(0))


class TestAccessProcessVm:
    def test_there_and_back(self, p, area):
        data = kzalloc(16, GFP_KERNEL)
        data[0:4] = b"abcd"
        assert access_process_vm(p.task, area + 4094, data, 4, FOLL_WRITE) == 4
        assert p.load(area + 4094, 4) == b"abcd"
        back = bytearray(4)
        assert access_process_vm(p.task, area + 4094, back, 4, 0) == 4
        assert back == b"abcd"
        assert access_process_vm(p.task, area + 8190, back, 4, 0) == 2
        kfree(data)

    def test_force_is_past_the_protection_of_private_memory(self, p):
        area = p.mmap(-1, 4096, mmap.PROT_READ, PRIVATE)
        assert access_process_vm(p.task, area, b"abcd", 4, FOLL_WRITE) == 0
        assert access_process_vm(p.task, area, b"abcd", 4, FOLL_WRITE | FOLL_FORCE) == 4
        assert p.load(area, 4) == b"abcd"
        with pytest.raises(kmock.UserSignal, match="SIGSEGV"):
            p.store(area, b"x")

    def test_nobody_there(self, k, p, area):
        assert access_process_vm(p.task, 4096, bytearray(4), 4, 0) == 0
        p.exit()
        assert current().mm is None
        assert access_process_vm(current(), area, bytearray(4), 4, 0) == 0
