"""The page cache: files in memory, in processes and on their disks."""

from __future__ import annotations

import errno
import mmap
import os

import pytest

import kmock
from kmock.errors import UserSignal
from kmock.linux.fs import file_operations, filemap_write_and_wait_range, generic_file_mmap
from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import (
    FOLL_WRITE,
    VM_FAULT_LOCKED,
    VM_FAULT_MAJOR,
    PageDirty,
    PageUptodate,
    filemap_fault,
    filemap_page_mkwrite,
    get_user_pages_fast,
    page_count,
    page_mapcount,
    put_page,
    set_page_dirty,
    truncate_inode_pages,
    truncate_pagecache,
    truncate_setsize,
    vm_operations_struct,
)
from kmock.linux.pagemap import lock_page, unlock_page
from kmock.linux.preempt import preempt_disable, preempt_enable
from kmock.mm.address_space import address_space_operations
from kmock.mm.page_writeback import filemap_dirty_folio

RW = mmap.PROT_READ | mmap.PROT_WRITE
PAGE = 4096
END = (1 << 63) - 1


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
def inode(k):
    inode = k.inode(4 * PAGE)
    inode.disk.write(0, b"".join(bytes([letter]) * PAGE for letter in b"abcd"))
    return inode


def shared(p, inode, length=4 * PAGE, flags=mmap.MAP_SHARED):
    return p.mmap(p.open(inode.path), length, RW, flags)


def sync(inode):
    return filemap_write_and_wait_range(inode.i_mapping, 0, END)


class TestReading:
    def test_nothing_is_in_memory_until_somebody_looks(self, inode):
        assert inode.i_mapping.nrpages == 0

    def test_a_mapping_shows_the_disk(self, p, inode):
        addr = shared(p, inode)
        assert p.load(addr + PAGE - 1, 2) == b"ab"
        assert sorted(inode.i_mapping.i_pages) == [0, 1]

    def test_a_page_in_memory_is_clean_and_held_by_cache_and_mapping(self, p, inode):
        p.load(shared(p, inode), 1)
        page = inode.i_mapping.i_pages[0]
        assert (page_count(page), page_mapcount(page), PageUptodate(page), PageDirty(page)) == (2, 1, True, False)
        assert page.mapping is inode.i_mapping
        p.exit()
        assert (page_count(page), page_mapcount(page)) == (1, 0)

    def test_a_page_is_read_once(self, k, p, inode):
        addr = shared(p, inode)
        before = inode.disk.reads
        p.load(addr, 1)
        q = k.user()
        assert q.load(shared(q, inode), 1) == b"a"
        assert q.read(q.open(inode.path), 3) == b"aaa"
        assert inode.disk.reads == before + 1

    def test_beyond_the_last_page_is_a_bus_error(self, p, k):
        inode = k.inode(10)
        addr = shared(p, inode, 2 * PAGE)
        assert p.load(addr, PAGE) == bytes(PAGE)
        with pytest.raises(UserSignal, match="SIGBUS"):
            p.load(addr + PAGE, 1)

    def test_a_page_that_cannot_be_read_is_a_bus_error(self, k, p, inode):
        def read_folio(file, page):
            unlock_page(page)
            return -errno.EIO

        inode.i_mapping.a_ops = address_space_operations(read_folio=read_folio)
        addr = shared(p, inode)
        with pytest.raises(UserSignal, match="SIGBUS"):
            p.load(addr, 1)
        with pytest.raises(OSError, match=r"\[Errno 5\]"):
            p.read(p.open(inode.path), 1)

    def test_read_ends_at_the_end(self, p, inode):
        fd = p.open(inode.path)
        assert p.pread(fd, 100, 4 * PAGE - 1) == b"d"
        assert p.lseek(fd, -2, os.SEEK_END) == 4 * PAGE - 2
        assert p.read(fd, 100) == b"dd"
        assert p.read(fd, 100) == b""


class TestWriting:
    def test_two_processes_and_the_disk_see_one_file(self, k, p, inode):
        q = k.user()
        mine, other = shared(p, inode), shared(q, inode)
        p.store(mine + PAGE, b"from p")
        assert q.load(other + PAGE, 6) == b"from p"
        q.store(other + PAGE + 6, b", from q")
        assert p.load(mine + PAGE, 14) == b"from p, from q"
        assert inode.disk.read(PAGE, 4) == b"bbbb"
        p.msync(mine, 4 * PAGE)
        assert inode.disk.read(PAGE, 16) == b"from p, from qbb"

    def test_a_store_after_the_write_out_makes_the_page_dirty_again(self, p, inode):
        addr = shared(p, inode)
        p.store(addr, b"1")
        assert inode.i_mapping.dirty == {0}
        assert sync(inode) == 0
        assert inode.i_mapping.dirty == set()
        p.store(addr, b"2")
        assert inode.i_mapping.dirty == {0}
        assert sync(inode) == 0
        assert inode.disk.read(0, 1) == b"2"

    def test_only_the_range_is_written(self, p, inode):
        addr = shared(p, inode)
        for i in range(3):
            p.store(addr + i * PAGE, b"x")
        assert filemap_write_and_wait_range(inode.i_mapping, PAGE, 2 * PAGE - 1) == 0
        assert inode.i_mapping.dirty == {0, 2}
        assert filemap_write_and_wait_range(inode.i_mapping, PAGE, 0) == 0
        assert inode.i_mapping.dirty == {0, 2}

    def test_a_clean_file_is_not_written(self, p, inode):
        p.load(shared(p, inode), 1)
        before = inode.disk.writes
        assert sync(inode) == 0
        assert inode.disk.writes == before

    def test_a_private_mapping_keeps_what_it_writes(self, k, p, inode):
        addr = shared(p, inode, flags=mmap.MAP_PRIVATE)
        assert p.load(addr, 1) == b"a"
        p.store(addr, b"z")
        q = k.user()
        assert q.load(shared(q, inode), 1) == b"a"
        assert inode.i_mapping.dirty == set()

    def test_write_grows_the_file_and_shows_in_mappings(self, p, inode):
        fd = p.open(inode.path)
        addr = p.mmap(fd, PAGE, RW, mmap.MAP_SHARED)
        assert p.pwrite(fd, b"hello", 2) == 5
        assert p.load(addr, 8) == b"aahelloa"
        assert p.pwrite(fd, b"x" * (PAGE + 1), 4 * PAGE) == PAGE + 1
        assert inode.i_size == 5 * PAGE + 1
        p.fsync(fd)
        assert inode.disk.read(0, 8) == b"aahelloa"
        assert inode.disk.read(5 * PAGE, 2) == b"x\0"

    def test_append(self, p, inode):
        fd = p.open(inode.path, os.O_RDWR | os.O_APPEND)
        assert p.write(fd, b"end") == 3
        assert p.pread(fd, 5, 4 * PAGE - 1) == b"dend"

    def test_a_bad_buffer_writes_nothing(self, p, inode):
        fd = p.open(inode.path)
        file = p.files[fd]
        assert file.f_op.write(file, 0x1000, 5, p_offset := kmock.fs.file.Offset(0)) == -errno.EFAULT
        assert file.f_op.read(file, 0x1000, 5, p_offset) == -errno.EFAULT
        assert p_offset.value == 0

    def test_what_lies_beyond_the_end_stays_in_memory(self, k, p):
        inode = k.inode(10)
        p.store(shared(p, inode, PAGE), b"x" * 20)
        assert sync(inode) == 0
        assert inode.disk.read(0, 20) == b"x" * 10 + bytes(10)

    @pytest.mark.parametrize(("failed", "later"), [(-errno.EIO, -errno.EIO), (-errno.ENOSPC, -errno.ENOSPC)])
    def test_a_failed_write_is_told_once(self, p, inode, failed, later):
        def writepage(page, wbc):
            unlock_page(page)
            return failed

        ops = inode.i_mapping.a_ops
        inode.i_mapping.a_ops = address_space_operations(
            read_folio=ops.read_folio, writepage=writepage, dirty_folio=filemap_dirty_folio
        )
        p.store(shared(p, inode), b"x")
        assert sync(inode) == later
        assert sync(inode) == 0

    def test_marking_dirty_by_hand(self, p, inode):
        addr = shared(p, inode)
        n, (page,) = get_user_pages_fast(addr, 1, FOLL_WRITE)
        assert n == 1
        assert sync(inode) == 0
        assert set_page_dirty(page)
        assert not set_page_dirty(page)
        assert inode.i_mapping.dirty == {0}
        put_page(page)


class TestTruncation:
    def test_pages_beyond_the_new_end_go(self, p, inode):
        fd = p.open(inode.path)
        addr = p.mmap(fd, 4 * PAGE, RW, mmap.MAP_SHARED)
        for i in range(4):
            p.store(addr + i * PAGE, b"x")
        p.ftruncate(fd, PAGE + 1)
        assert sorted(inode.i_mapping.i_pages) == [0, 1]
        assert inode.i_mapping.dirty == {0, 1}
        assert p.load(addr + PAGE, 3) == b"x\0\0"
        with pytest.raises(UserSignal, match="SIGBUS"):
            p.load(addr + 2 * PAGE, 1)
        p.ftruncate(fd, 4 * PAGE)
        assert p.load(addr + PAGE, 2 * PAGE) == b"x" + bytes(2 * PAGE - 1)

    def test_private_copies_go_as_well(self, p, inode):
        addr = shared(p, inode, flags=mmap.MAP_PRIVATE)
        p.store(addr, b"mine")
        truncate_setsize(inode, 0)
        with pytest.raises(UserSignal, match="SIGBUS"):
            p.load(addr, 1)

    def test_a_held_page_outlives_its_file(self, p, inode):
        addr = shared(p, inode)
        _, (page,) = get_user_pages_fast(addr, 1, FOLL_WRITE)
        assert page_count(page) == 3
        truncate_setsize(inode, 0)
        assert (page_count(page), page_mapcount(page), page.mapping, PageDirty(page)) == (1, 0, None, False)
        put_page(page)
        assert page_count(page) == 0

    def test_truncation_waits_for_a_locked_page(self, k, p, inode):
        p.load(shared(p, inode), 1)
        page = inode.i_mapping.i_pages[0]
        lock_page(page)
        task = k.spawn(lambda: truncate_inode_pages(inode.i_mapping, 0))
        k.run()
        assert page.mapping is inode.i_mapping
        unlock_page(page)
        k.join(task)
        assert inode.i_mapping.nrpages == 0

    def test_both_generations_of_truncate_pagecache(self, p, inode):
        addr = shared(p, inode)
        for size in (3, 2):
            p.load(addr, size * PAGE)
            inode.i_size = size * PAGE - PAGE
            truncate_pagecache(inode, *((inode.i_size,) if size == 3 else (size * PAGE, inode.i_size)))
            assert inode.i_mapping.nrpages == size - 1

    def test_not_in_atomic_context(self, k, p, inode):
        preempt_disable()
        with k.expect("sleep-in-atomic"):
            truncate_setsize(inode, 0)
        preempt_enable()

    def test_what_cannot_be_cut(self, p, inode):
        fd = p.open(inode.path, os.O_RDONLY)
        with pytest.raises(OSError, match=r"\[Errno 22\]"):
            p.ftruncate(fd, 0)
        with pytest.raises(OSError, match=r"\[Errno 22\]"):
            p.ftruncate(p.open(inode.path), -1)


class TestFiles:
    def test_names(self, k, p):
        inode = k.inode(PAGE, "/mnt/data")
        assert p.read(p.open("/mnt/data"), 2) == b"\0\0"
        with pytest.raises(FileExistsError):
            k.inode(1, "/mnt/data")
        with pytest.raises(FileNotFoundError):
            p.open("/mnt/other")
        assert p.write(p.open("/mnt/other", os.O_RDWR | os.O_CREAT), b"new") == 3
        with pytest.raises(FileExistsError):
            p.open("/mnt/other", os.O_RDWR | os.O_CREAT | os.O_EXCL)
        p.open("/mnt/data", os.O_RDWR | os.O_TRUNC)
        assert inode.i_size == 0

    def test_maps_names_the_file(self, k, p, inode):
        shared(p, inode)
        assert f"{inode.i_ino} " in k.read_file(f"/proc/{p.pid}/maps")
        assert inode.path in k.read_file(f"/proc/{p.pid}/maps")

    def test_a_child_shares_the_mapping(self, p, inode):
        addr = shared(p, inode)
        child = p.fork()
        child.store(addr, b"child")
        assert p.load(addr, 5) == b"child"

    def test_a_read_only_file_is_not_mapped_for_writing(self, p, inode):
        fd = p.open(inode.path, os.O_RDONLY)
        with pytest.raises(PermissionError):
            p.mmap(fd, PAGE, RW, mmap.MAP_SHARED)

    def test_a_driver_may_wrap_the_generic_handlers(self, p, inode):
        asked = []

        def fault(vmf):
            asked.append(filemap_fault(vmf))
            return asked[-1]

        def mkwrite(vmf):
            asked.append("write")
            return filemap_page_mkwrite(vmf)

        ops = vm_operations_struct(fault=fault, page_mkwrite=mkwrite)

        def handler(file, vma):
            vma.vm_ops = ops
            return 0

        fd = p.open(inode.path)
        p.files[fd].f_op = file_operations(mmap=handler)
        addr = p.mmap(fd, PAGE, RW, mmap.MAP_SHARED)
        assert p.load(addr, 1) == b"a"
        p.store(addr, b"x")
        assert asked == [VM_FAULT_LOCKED | VM_FAULT_MAJOR, "write"]
        assert inode.i_mapping.dirty == {0}

    def test_an_area_without_a_file_is_an_oops(self, k, p, inode):
        addr = shared(p, inode)
        p.mm.vma_lookup(addr).vm_file = None
        with k.expect("null-*"), pytest.raises(kmock.KernelOops):
            p.load(addr, 1)

    def test_a_device_has_no_page_cache_to_map(self, p):
        misc = miscdevice(name="dev", fops=file_operations(mmap=generic_file_mmap))
        assert misc_register(misc) == 0
        with pytest.raises(OSError, match=r"\[Errno 8\]"):
            p.mmap(p.open("/dev/dev"), PAGE, RW, mmap.MAP_SHARED)
        p.exit()
        misc_deregister(misc)


def test_a_page_of_nobody_is_marked_dirty_alone(k):
    page = alloc_page(GFP_KERNEL)
    assert set_page_dirty(page)
    assert PageDirty(page)
    __free_page(page)
