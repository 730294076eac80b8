"""The memory of processes: what they share with each other, with a driver and with a device."""

from __future__ import annotations

import errno
import mmap

import pytest

import kmock
from kmock.linux.atomic import atomic_add, atomic_t
from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO as GFP_ZERO
from kmock.linux.gfp import GFP_KERNEL, alloc_page
from kmock.linux.gfp import __free_page as free_one_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import (
    FAULT_FLAG_ALLOW_RETRY,
    FAULT_FLAG_TRIED,
    FAULT_FLAG_USER,
    FAULT_FLAG_WRITE,
    NOPAGE_OOM,
    NOPAGE_SIGBUS,
    VM_DONTCOPY,
    VM_FAULT_LOCKED,
    VM_FAULT_MINOR,
    VM_FAULT_NOPAGE,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
    VM_FAULT_SIGSEGV,
    get_page,
    page_address,
    page_count,
    page_mapcount,
    vm_operations_struct,
)
from kmock.linux.mmap_lock import mmap_read_unlock
from kmock.linux.pagemap import lock_page
from kmock.linux.slab import kfree, kzalloc
from kmock.linux.types import Struct, sizeof, u32
from kmock.linux.uaccess import copy_from_user, copy_to_user, pagefault_disable, pagefault_enable

PAGE = mmap.PAGESIZE
RW = mmap.PROT_READ | mmap.PROT_WRITE
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
SHARED = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
MAP_GROWSDOWN = 0x100
MAP_LOCKED = 0x2000
MAP_POPULATE = 0x8000
MAP_SHARED_VALIDATE = 3
MAP_SYNC = 0x80000
FIXED = 0x10
BASE = 0x2000_0000


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


@pytest.fixture
def p(k):
    return k.user()


class Driver:
    """A device with one page, whose operations a test sets as it likes."""

    def __init__(self, k, **operations):
        self.page = alloc_page(GFP_KERNEL | GFP_ZERO)
        self.seen = []
        self.flags = 0
        operations.setdefault("fault", self.fault)
        self.ops = vm_operations_struct(**operations)
        self.fops = file_operations(mmap=self.dev_mmap)
        self.misc = miscdevice(name="dev", fops=self.fops)
        misc_register(self.misc)
        self.p = k.user()
        self.fd = self.p.open("/dev/dev")

    def dev_mmap(self, file, vma):
        vma.vm_ops = self.ops
        vma.vm_flags |= self.flags
        return 0

    def fault(self, vmf):
        self.seen.append((vmf.pgoff, vmf.flags))
        if vmf.pgoff:
            return VM_FAULT_SIGBUS
        get_page(self.page)
        vmf.page = self.page
        return 0

    def map(self, npages=1, prot=RW, flags=mmap.MAP_SHARED):
        return self.p.mmap(self.fd, npages * PAGE, prot, flags)

    def counts(self):
        return page_count(self.page), page_mapcount(self.page)


@pytest.fixture
def driver(k):
    made = []

    def make(**operations):
        made.append(Driver(k, **operations))
        return made[-1]

    yield make
    for one in made:
        for process in list(k.processes):
            process.exit()
        assert one.counts() == (1, 0)
        free_one_page(one.page)
        misc_deregister(one.misc)


def signal_of(call, *args):
    try:
        call(*args)
    except kmock.UserSignal as signal:
        return signal.signal
    return ""


class TestSharing:
    def test_two_processes_a_driver_and_a_device_see_each_others_bytes(self, k, driver):
        d = driver()
        p, q = d.p, k.user()
        a = d.map()
        b = q.mmap(q.open("/dev/dev"), PAGE, RW, mmap.MAP_SHARED)
        kernel = page_address(d.page)
        device = k.ram.bytes  # a bus master sees physical memory
        at = d.page.pfn << 12

        def everybody(offset, data):
            n = len(data)
            views = (p.load(a + offset, n), q.load(b + offset, n), kernel[offset : offset + n])
            assert [bytes(view) for view in (*views, device[at + offset : at + offset + n])] == [data] * 4

        p.store(a + 1, b"first")
        everybody(1, b"first")
        q.store(b + 4090, b"second")
        everybody(4090, b"second")
        kernel[100:106] = b"driver"
        everybody(100, b"driver")
        device[at + 200 : at + 206] = b"device"
        everybody(200, b"device")
        for i in range(0, PAGE, 61):
            (p if i & 1 else q).store((a if i & 1 else b) + i, bytes([i & 255]))
            everybody(i, bytes([i & 255]))
        assert d.counts() == (3, 2)

    def test_shared_memory_without_a_file(self, p):
        a = p.mmap(-1, 2 * PAGE, RW, SHARED)
        q = p.fork()
        q.store(a + 4095, b"hi")
        assert p.load(a + 4095, 2) == b"hi"
        p.exit()
        assert q.load(a + 4095, 2) == b"hi"

    def test_private_memory_parts_at_the_first_write(self, k, p):
        a = p.mmap(-1, PAGE, RW, PRIVATE)
        p.store(a, b"both")
        page = k.memmap.page(p.mm.pte(a) >> 12 & 0xFFFFFFF)
        q = p.fork()
        assert (page._refcount, page.mapcount) == (2, 2)
        p.store(a, b"mine")
        assert q.load(a, 4) == b"both"
        assert (page._refcount, page.mapcount) == (1, 1)
        q.store(a, b"his.")  # alone with it by now, so it needs no copy
        assert k.memmap.page(q.mm.pte(a) >> 12 & 0xFFFFFFF) is page
        assert p.load(a, 4) == b"mine"

    def test_the_zero_page_is_nobodys(self, k, p):
        a = p.mmap(-1, PAGE, RW, PRIVATE)
        assert p.load(a, 4) == bytes(4)
        q = p.fork()
        p.store(a, b"x")
        assert q.load(a, 4) == bytes(4)

    def test_a_child_has_the_files(self, driver):
        d = driver()
        q = d.p.fork()
        a = q.mmap(d.fd, PAGE, RW, mmap.MAP_SHARED)
        d.p.exit()
        q.close(d.fd)
        q.store(a, b"still")  # the area keeps the file
        assert page_address(d.page)[0:5] == b"still"

    def test_what_is_not_copied(self, driver):
        d = driver()
        d.flags = VM_DONTCOPY
        a = d.map()
        q = d.p.fork()
        assert signal_of(q.load, a, 1) == "SIGSEGV"

    def test_wiped_on_fork(self, p):
        a = p.mmap(-1, PAGE, RW, PRIVATE)
        p.store(a, b"secret")
        p.madvise(a, PAGE, 18)
        assert p.fork().load(a, 6) == bytes(6)
        p.madvise(a, PAGE, 19)
        assert p.fork().load(a, 6) == b"secret"


class TestFaults:
    def test_what_a_handler_is_told(self, driver):
        d = driver()
        a = d.map(2)
        d.p.store(a + 100, b"x")
        assert d.seen == [(0, d.seen[0][1])]
        assert d.seen[0][1] & FAULT_FLAG_WRITE
        assert d.seen[0][1] & FAULT_FLAG_USER
        assert signal_of(d.p.load, a + PAGE, 1) == "SIGBUS"
        assert d.seen[1][0] == 1
        assert not d.seen[1][1] & FAULT_FLAG_WRITE

    def test_a_copy_of_the_kernels_faults_too(self, driver):
        d = driver()
        a = d.map(2)
        data = bytearray(b"12345678")
        assert copy_to_user(a + PAGE - 4, data, 8) == 4
        assert not d.seen[0][1] & FAULT_FLAG_USER
        d.p.madvise(a, PAGE, 4)
        pagefault_disable()
        assert copy_from_user(data, a, 8) == 8
        pagefault_enable()
        assert copy_from_user(data, a + PAGE - 4, 4) == 0
        assert data[:4] == b"1234"

    def test_a_handler_that_waits_lets_go_of_the_lock(self, driver):
        def fault(vmf):
            flags.append(vmf.flags)
            if not vmf.flags & FAULT_FLAG_TRIED and vmf.flags & FAULT_FLAG_ALLOW_RETRY:
                mmap_read_unlock(vmf.vma.vm_mm)
                return VM_FAULT_RETRY
            return d.fault(vmf)

        flags: list[int] = []
        d = driver(fault=fault)
        assert d.p.load(d.map(), 1) == b"\0"
        assert len(flags) == 2
        assert not d.p.mm.is_locked()

    def test_retry_with_the_lock_still_held(self, k, driver):
        def fault(vmf):
            if vmf.flags & FAULT_FLAG_TRIED:
                return d.fault(vmf)
            return VM_FAULT_RETRY

        d = driver(fault=fault)
        with k.expect("fault-handler-bad-return") as found:
            d.p.load(d.map(), 1)
        assert found[0].where.function == "fault"
        assert not d.p.mm.is_locked()

    def test_a_handler_that_raises_holds_no_lock(self, driver):
        def fault(vmf):
            raise ZeroDivisionError

        d = driver(fault=fault)
        a = d.map()
        with pytest.raises(ZeroDivisionError):
            d.p.load(a, 1)
        d.p.munmap(a, PAGE)

    def test_a_handler_of_the_days_before_4_11(self, driver):
        def fault(vma, vmf):
            assert vma is vmf.vma
            assert vmf.virtual_address == vmf.address
            return d.fault(vmf)

        d = driver(fault=fault)
        assert d.p.load(d.map(), 1) == b"\0"

    def test_nopage_of_the_days_before_2_6_26(self, driver):
        def nopage(vma, address, type):
            pgoff = (address - vma.vm_start >> 12) + vma.vm_pgoff
            if pgoff == 1:
                return NOPAGE_OOM
            if pgoff > 1:
                return NOPAGE_SIGBUS
            get_page(d.page)
            type[0] = VM_FAULT_MINOR
            return d.page

        d = driver(fault=None, nopage=nopage)
        a = d.map(3)
        assert d.p.load(a, 1) == b"\0"
        assert [signal_of(d.p.load, a + at * PAGE, 1) for at in (1, 2)] == ["SIGKILL", "SIGBUS"]

    def test_sigsegv(self, driver):
        d = driver(fault=lambda vmf: VM_FAULT_SIGSEGV)
        assert signal_of(d.p.load, d.map(), 1) == "SIGSEGV"

    def test_page_mkwrite_is_asked_once_per_page_and_may_refuse(self, driver):
        def mkwrite(vmf):
            asked.append(vmf.pgoff)
            if len(asked) == 1:
                return VM_FAULT_SIGBUS
            lock_page(vmf.page)
            return VM_FAULT_LOCKED

        asked: list[int] = []
        d = driver(page_mkwrite=mkwrite)
        a = d.map()
        assert d.p.load(a, 1) == b"\0"
        assert signal_of(d.p.store, a, b"x") == "SIGBUS"
        d.p.store(a, b"y")
        d.p.store(a, b"z")
        assert asked == [0, 0]
        assert d.counts() == (2, 1)

    def test_map_pages_brings_neighbours(self, driver):
        def map_pages(vmf, start, end):
            around.append((start, end))
            return VM_FAULT_SIGBUS if start else 0

        around: list[tuple[int, int]] = []
        d = driver(map_pages=map_pages)
        a = d.p.mmap(d.fd, 4 * PAGE, RW, mmap.MAP_SHARED | FIXED, addr=BASE)
        d.p.load(a, 1)
        assert around == [(0, 3)]
        d.p.madvise(a, PAGE, 4)
        d.p.store(a, b"x")  # who writes brings one page
        assert len(around) == 1

    def test_nopage_while_a_signal_waits_is_no_mistake(self, driver):
        def fault(vmf):
            if not tried:
                tried.append(1)
                d.p.task.signal = 2
                return VM_FAULT_NOPAGE
            d.p.task.signal = 0
            return d.fault(vmf)

        tried: list[int] = []
        d = driver(fault=fault)
        assert d.p.load(d.map(), 1) == b"\0"

    def test_no_page_at_all(self, k, driver):
        d = driver(fault=lambda vmf: 0)
        a = d.map()
        with k.expect("fault-handler-bad-return") as found, pytest.raises(kmock.KernelOops):
            d.p.load(a, 1)
        assert "NULL pointer" in found[0].headline

    def test_nothing_installed_for_ever(self, k, driver):
        d = driver(fault=lambda vmf: VM_FAULT_NOPAGE)
        a = d.map()
        with k.expect("fault-handler-bad-return"), pytest.raises(kmock.Deadlock):
            d.p.load(a, 1)

    def test_unlocked_on_a_kernel_without_debug_vm(self):
        with kmock.boot(debug_vm=False) as k:
            page = alloc_page(GFP_KERNEL | GFP_ZERO)

            def fault(vmf):
                get_page(page)
                vmf.page = page
                return VM_FAULT_LOCKED

            d = Driver(k, fault=fault)
            with k.expect("fault-handler-unlocked") as found, k.expect("pgcache-unlock-unlocked", count=None):
                d.p.load(d.map(), 1)
            assert found[0].headline.startswith("BUG: kmock: fault-handler-unlocked in fault")
            d.p.exit()
            free_one_page(page)
            free_one_page(d.page)
            misc_deregister(d.misc)

    def test_access_answers_where_there_are_no_pages(self, driver):
        def access(vma, address, buf, n, write):
            done.append((address - vma.vm_start, n, write))
            if not write:
                buf[0:n] = b"R" * n
            return n

        done: list[tuple[int, int, int]] = []
        d = driver(fault=lambda vmf: VM_FAULT_SIGBUS, access=access)
        a = d.map()
        assert d.p.peek(a + 8, 4) == b"RRRR"
        assert d.p.poke(a + 8, b"new!") == 4
        assert done == [(8, 4, 0), (8, 4, 1)]
        with pytest.raises(OSError, match="Input/output error"):
            d.p.peek(4096, 1)
        with pytest.raises(OSError, match="Input/output error"):
            d.p.poke(4096, b"x")


class TestDrivers:
    def test_a_process_ends_with_its_memory_first(self, k, driver):
        d = driver(close=lambda vma: order.append("close"))
        order = []

        def release(inode, file):
            order.append("release")
            assert k.current.mm is None

        d.fops.release = release
        a = d.map()
        d.p.store(a, b"x")
        d.p.exit()
        assert order == ["close", "release"]

    def test_a_driver_may_refuse_a_split_or_a_protection_or_a_move(self, driver):
        d = driver(
            may_split=lambda vma, address: -errno.EINVAL,
            mprotect=lambda vma, start, end, flags: -errno.EACCES,
            mremap=lambda vma: -errno.EPERM,
        )
        a = d.map(2)
        with pytest.raises(OSError, match="Invalid argument"):
            d.p.munmap(a, PAGE)
        with pytest.raises(OSError, match="Permission denied"):
            d.p.mprotect(a, 2 * PAGE, mmap.PROT_READ)
        with pytest.raises(OSError, match="Operation not permitted"):
            d.p.mremap(a, 2 * PAGE, 2 * PAGE, 3, BASE)
        d.p.store(a, b"x")

    def test_what_a_descriptor_allows(self, driver):
        import os

        d = driver()
        p = d.p
        reader, writer = p.open("/dev/dev", os.O_RDONLY), p.open("/dev/dev", os.O_WRONLY)
        for fd, prot, flags in ((reader, RW, mmap.MAP_SHARED), (writer, RW, mmap.MAP_SHARED)):
            with pytest.raises(OSError, match="Permission denied"):
                p.mmap(fd, PAGE, prot, flags)
        a = p.mmap(reader, PAGE, RW, mmap.MAP_PRIVATE)
        p.store(a, b"copy")
        assert page_address(d.page)[0:4] == bytes(4)
        b = p.mmap(reader, PAGE, mmap.PROT_READ, mmap.MAP_SHARED)
        with pytest.raises(OSError, match="Permission denied"):
            p.mprotect(b, PAGE, RW)

    def test_flags_that_a_driver_has_to_know(self, driver):
        d = driver()
        with pytest.raises(OSError, match="Operation not supported"):
            d.map(flags=MAP_SHARED_VALIDATE | MAP_SYNC)
        d.fops.mmap_supported_flags = MAP_SYNC
        d.map(flags=MAP_SHARED_VALIDATE | MAP_SYNC)

    def test_a_driver_may_choose_the_place(self, driver):
        d = driver()
        d.fops.get_unmapped_area = lambda file, address, length, pgoff, flags: BASE
        assert d.map() == BASE
        d.fops.get_unmapped_area = lambda file, address, length, pgoff, flags: -errno.ENOSPC
        with pytest.raises(OSError, match="No space"):
            d.map()

    def test_a_driver_may_not_move_its_area(self, k, driver):
        d = driver()

        def moves(file, vma):
            vma.vm_start += PAGE
            return 0

        d.fops.mmap = moves
        with k.expect("mmap-size-unchecked"), pytest.raises(OSError, match="Invalid argument"):
            d.map(2)

    def test_unwritten_memory_is_seen_once_and_at_the_handlers_line(self, k):
        page = alloc_page(GFP_KERNEL)
        page_address(page)[0:PAGE] = bytes(PAGE)
        secret = alloc_page(GFP_KERNEL)

        def fault(vmf):
            vmf.page = secret if vmf.pgoff else page
            get_page(vmf.page)
            return 0

        d = Driver(k, fault=fault)
        a = d.map(2)
        d.p.load(a, 1)
        with k.expect("mmap-uninit-exposed", count=1) as found:
            d.p.load(a + PAGE, 1)
        d.p.madvise(a, 2 * PAGE, 4)
        d.p.load(a + PAGE, 1)
        assert found[0].where.function == "fault"
        assert len(found[0].followed_by) == 1
        d.p.exit()
        for one in (page, secret, d.page):
            free_one_page(one)
        misc_deregister(d.misc)

    def test_what_the_process_wrote_itself_is_written(self, k):
        page = alloc_page(GFP_KERNEL | GFP_ZERO)
        page.owner.written = bytearray(PAGE)
        d = Driver(k)
        with k.expect("mmap-uninit-exposed"):
            d.page.owner.written = bytearray(PAGE)
            a = d.map()
            d.p.load(a, 1)
        d.p.store(a, b"x" * PAGE)
        assert d.page.owner.written is None
        d.p.exit()
        for one in (page, d.page):
            free_one_page(one)
        misc_deregister(d.misc)


class TestCounts:
    """``vma-open-close-imbalance``, in the shapes that drivers have."""

    @pytest.mark.parametrize("forked", [False, True])
    def test_mmap_forgets_the_first(self, k, forked):
        count = {"n": 0}

        def opened(vma):
            count["n"] += 1

        def closed(vma):
            count["n"] -= 1

        d = Driver(k, open=opened, close=closed)
        d.map()
        with k.expect("vma-open-close-imbalance", count=1) as found:
            if forked:
                d.p.fork().exit()
            d.p.exit()
        assert found[0].where.function == "closed"
        free_one_page(d.page)
        misc_deregister(d.misc)

    def test_a_split_counts_too(self, k):
        users = 0

        def closed(vma):
            nonlocal users
            users -= 1

        d = Driver(k, close=closed)
        setup = d.fops.mmap

        def maps(file, vma):
            nonlocal users
            users += 1
            return setup(file, vma)

        d.fops.mmap = maps
        a = d.map(3)
        d.p.munmap(a + PAGE, PAGE)
        with k.expect("vma-open-close-imbalance"):
            d.p.exit()
        free_one_page(d.page)
        misc_deregister(d.misc)

    def test_ldd3_lets_mmap_call_open(self, k):
        class Dev:
            def __init__(self):
                self.vmas = 0

        dev = Dev()

        def opened(vma):
            dev.vmas += 1

        def closed(vma):
            dev.vmas -= 1

        d = Driver(k, open=opened, close=closed)
        setup = d.fops.mmap

        def maps(file, vma):
            setup(file, vma)
            opened(vma)
            return 0

        d.fops.mmap = maps
        d.map()
        d.p.fork().exit()
        d.p.exit()
        assert dev.vmas == 0
        free_one_page(d.page)
        misc_deregister(d.misc)

    @pytest.mark.parametrize("how", ["struct", "pointer", "atomic"])
    def test_wherever_the_count_lies(self, k, how):
        class Dev(Struct):
            vmas: u32

        memory = kzalloc(sizeof(Dev), GFP_KERNEL)
        users = atomic_t(0)

        def add(vma, n):
            if how == "atomic":
                atomic_add(n, users)
            else:
                Dev.at(memory).vmas += n

        def closed(vma):
            add(vma, -1)

        d = Driver(k, close=closed)
        setup = d.fops.mmap

        def maps(file, vma):
            vma.vm_private_data = Dev.at(memory) if how == "struct" else memory
            add(vma, 1)
            return setup(file, vma)

        d.fops.mmap = maps
        a = d.map(2)
        d.p.munmap(a, PAGE)
        with k.expect("vma-open-close-imbalance", count=1):
            d.p.exit()
        kfree(memory)
        free_one_page(d.page)
        misc_deregister(d.misc)

    def test_statistics_and_sizes_are_no_counts(self, k):
        stats = {"opens": 0, "closes": 0, "events": 0, "bytes": 0}

        def opened(vma):
            stats["opens"] += 1
            stats["events"] += 1

        def closed(vma):
            stats["closes"] += 1
            stats["events"] += 1
            stats["bytes"] = vma.vm_end - vma.vm_start

        d = Driver(k, open=opened, close=closed)
        a = d.map(3)
        d.p.munmap(a + PAGE, PAGE)
        d.p.fork().exit()
        d.p.exit()
        free_one_page(d.page)
        misc_deregister(d.misc)


class TestCalls:
    def test_brk(self, p):
        start = p.brk()
        assert p.brk(start + 5000) == start + 5000
        p.store(start + 4990, b"0123456789")
        with pytest.raises(kmock.UserSignal, match="SIGSEGV"):
            p.load(start + 8192, 1)
        assert p.brk(start + 100) == start + 100
        assert signal_of(p.load, start + 4990, 1) == "SIGSEGV"
        assert p.brk(start - 1) == start + 100

    def test_a_stack_grows_when_it_is_touched(self, p):
        a = p.mmap(-1, 4 * PAGE, RW, PRIVATE | MAP_GROWSDOWN | FIXED, addr=BASE + (3000 << 12))
        p.store(a - 5000, b"deeper")
        assert p.load(a - 5000, 6) == b"deeper"
        assert signal_of(p.store, a - (9 << 20), b"x") == "SIGSEGV"  # more than a stack may be
        p.mmap(-1, PAGE, RW, PRIVATE | FIXED, addr=a - (300 << 12))
        assert signal_of(p.store, a - (290 << 12), b"x") == "SIGSEGV"  # too near to its neighbour

    def test_mremap(self, p):
        a = p.mmap(-1, 2 * PAGE, RW, PRIVATE | FIXED, addr=BASE)
        p.store(a, b"a")
        p.store(a + PAGE, b"b")
        assert p.mremap(a, 2 * PAGE, 4 * PAGE) == a
        p.mmap(-1, PAGE, mmap.PROT_READ, PRIVATE | FIXED, addr=BASE + 4 * PAGE)
        with pytest.raises(OSError, match="Cannot allocate memory"):
            p.mremap(a, 4 * PAGE, 5 * PAGE)
        b = p.mremap(a, 4 * PAGE, 5 * PAGE, 1)
        assert b != a
        assert (p.load(b, 1), p.load(b + PAGE, 1), p.load(b + 4 * PAGE, 1)) == (b"a", b"b", b"\0")
        assert signal_of(p.load, a, 1) == "SIGSEGV"
        assert p.mremap(b, 5 * PAGE, PAGE) == b
        assert signal_of(p.load, b + PAGE, 1) == "SIGSEGV"

    @pytest.mark.parametrize(
        ("old", "new", "flags", "to", "error"),
        [
            (PAGE, 0, 0, 0, "Invalid argument"),
            (PAGE, PAGE, 8, 0, "Invalid argument"),
            (PAGE, PAGE, 2, BASE, "Invalid argument"),
            (PAGE, PAGE, 3, BASE + 1, "Invalid argument"),
            (2 * PAGE, 2 * PAGE, 3, BASE + PAGE, "Invalid argument"),
            (0, PAGE, 1, 0, "Invalid argument"),
            (3 * PAGE, 4 * PAGE, 1, 0, "Bad address"),
        ],
    )
    def test_mremap_refuses(self, p, old, new, flags, to, error):
        p.mmap(-1, 2 * PAGE, RW, PRIVATE | FIXED, addr=BASE)
        with pytest.raises(OSError, match=error):
            p.mremap(BASE, old, new, flags, to)

    def test_dontunmap_leaves_an_empty_area(self, p):
        a = p.mmap(-1, PAGE, RW, PRIVATE | FIXED, addr=BASE)
        p.store(a, b"moved")
        b = p.mremap(a, PAGE, PAGE, 5)
        assert p.load(b, 5) == b"moved"
        assert p.load(a, 5) == bytes(5)

    def test_madvise(self, p):
        a = p.mmap(-1, 4 * PAGE, RW, PRIVATE | FIXED, addr=BASE)
        p.store(a, b"x" * 4 * PAGE)
        p.madvise(a + PAGE, PAGE, 4)
        assert p.load(a + PAGE - 1, 2) == b"x\0"
        p.madvise(a, PAGE, 2)
        assert len(p.mm.vmas) == 2
        p.madvise(a, PAGE, 0)
        assert len(p.mm.vmas) == 1
        p.munmap(a + 2 * PAGE, PAGE)
        with pytest.raises(OSError, match="Cannot allocate memory"):
            p.madvise(a, 4 * PAGE, 4)
        assert p.load(a + 3 * PAGE, 1) == b"\0"  # what lies behind the hole was done all the same
        for advice, error in ((99, "Invalid argument"), (12, "Invalid argument")):
            with pytest.raises(OSError, match=error):
                p.madvise(a, PAGE, advice)

    def test_mlock_and_populate(self, p):
        a = p.mmap(-1, 2 * PAGE, RW, PRIVATE | MAP_POPULATE)
        assert p.mm.rss[1] == 2
        p.mlock(a, PAGE)
        assert p.mm.locked_vm == 1
        with pytest.raises(OSError, match="Invalid argument"):
            p.madvise(a, PAGE, 4)
        p.munlock(a, PAGE)
        assert p.mm.locked_vm == 0
        p.mmap(-1, PAGE, RW, PRIVATE | MAP_LOCKED)
        assert (p.mm.rss[1], p.mm.locked_vm) == (3, 1)
        with pytest.raises(OSError, match="Cannot allocate memory"):
            p.mlock(BASE, PAGE)

    def test_msync_asks_the_driver(self, driver):
        asked = []
        d = driver()
        a = d.map(2)
        with pytest.raises(OSError, match="Invalid argument"):
            d.p.msync(a, PAGE)  # it has no fsync
        d.fops.fsync = lambda file, start, end, datasync: asked.append((start, end, datasync))
        d.p.msync(a + PAGE, PAGE)
        assert asked == [(PAGE, 2 * PAGE - 1, 1)]
        d.p.msync(a, PAGE, 1)
        assert len(asked) == 1
        d.p.munmap(a, PAGE)
        with pytest.raises(OSError, match="Cannot allocate memory"):
            d.p.msync(a, 2 * PAGE)
        assert len(asked) == 2
        with pytest.raises(OSError, match="Invalid argument"):
            d.p.msync(a, PAGE, 5)

    def test_protection(self, p):
        a = p.mmap(-1, PAGE, RW, PRIVATE)
        p.store(a, b"x")
        p.mprotect(a, PAGE, 0)
        assert signal_of(p.load, a, 1) == "SIGSEGV"
        p.mprotect(a, PAGE, mmap.PROT_READ)
        assert p.load(a, 1) == b"x"
        for address, length, prot, error in (
            (a + 1, PAGE, 1, "Invalid argument"),
            (a, PAGE, 64, "Invalid argument"),
            (a, 2 * PAGE * 1000, 1, "Cannot allocate memory"),
        ):
            with pytest.raises(OSError, match=error):
                p.mprotect(address, length, prot)

    def test_memory_that_runs_out_ends_in_a_kill(self):
        with kmock.boot(memory="16M") as k:
            p = k.user()
            a = p.mmap(-1, 32 << 20, RW, PRIVATE)
            assert signal_of(p.store, a, b"x" * (32 << 20)) == "SIGKILL"
            assert "Huh VM_FAULT_OOM leaked out to the #PF handler. Retrying PF" in k.dmesg()
            p.exit()


class TestRegisters:
    def test_a_device_behind_the_page_table_answers(self, k, p):
        window = k.mmio(0xF000_0000, PAGE)
        a = p.mmap(-1, PAGE, RW, PRIVATE)
        p.store(a, b"x")
        old = p.mm.pte(a)
        p.mm.set_pte(a, 0xF000_0000 | old & 0xFFF)
        p.store(a + 5, b"0123456")
        assert p.load(a + 4, 8) == b"\x000123456"
        assert window.read(8, 4) == int.from_bytes(b"3456", "little")
        window.pull()
        assert p.load(a, 4) == b"\xff" * 4
        p.mm.set_pte(a, old)


class TestProc:
    def test_maps(self, k, driver):
        d = driver()
        d.p.mmap(d.fd, PAGE, mmap.PROT_READ, mmap.MAP_SHARED | FIXED, 2 * PAGE, addr=BASE)
        d.p.mmap(-1, 2 * PAGE, RW, PRIVATE | FIXED, addr=BASE + 0x10000)
        d.p.mmap(-1, PAGE, RW, SHARED | FIXED, addr=BASE + 0x20000)
        lines = k.read_file(f"/proc/{d.p.pid}/maps").splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("20000000"))
        ino = d.p.files[d.fd].f_inode.i_ino
        assert lines[start : start + 3] == [
            f"{f'20000000-20001000 r--s 00002000 00:05 {ino}':<73}/dev/dev",
            "20010000-20012000 rw-p 00000000 00:00 0 ",
            f"{'20020000-20021000 rw-s 00000000 00:01 1025':<73}/dev/zero (deleted)",
        ]

    def test_heap(self, k, p):
        p.brk(p.brk() + PAGE)
        (line,) = [line for line in k.read_file("/proc/self/maps").splitlines() if line.endswith("[heap]")]
        assert line.startswith(f"{p.mm.start_brk:08x}-")

    def test_smaps_counts_what_is_shared(self, k, p):
        p.mmap(-1, 4 * PAGE, RW, PRIVATE | FIXED, addr=BASE)
        p.store(BASE, b"x" * 3 * PAGE)
        q = p.fork()
        q.store(BASE, b"y")
        text = k.read_file(f"/proc/{p.pid}/smaps")
        entry = text[text.index("20000000-") :].split("VmFlags")[0]
        for line in (
            "Size:                 16 kB",
            "Rss:                  12 kB",
            "Pss:                   8 kB",
            "Shared_Dirty:          8 kB",
            "Private_Dirty:         4 kB",
            "Anonymous:            12 kB",
            "Private_Hugetlb:       0 kB",
            "THPeligible:    0",
        ):
            assert f"{line}\n" in entry

    def test_status(self, k, p):
        a = p.mmap(-1, 3 * PAGE, RW, PRIVATE)
        p.store(a, b"x" * 2 * PAGE)
        p.load(p.mmap(-1, PAGE, RW, SHARED), 1)
        p.munmap(a, PAGE)
        lines = k.read_file(f"/proc/{p.pid}/status").splitlines()
        for line in (
            "VmPeak:\t      16 kB",
            "VmSize:\t      12 kB",
            "VmHWM:\t      12 kB",
            "VmRSS:\t       8 kB",
            "RssAnon:\t       4 kB",
            "RssShmem:\t       4 kB",
            "VmData:\t       8 kB",
        ):
            assert line in lines

    def test_nobody(self, k):
        with pytest.raises(OSError, match="No such file"):
            k.read_file("/proc/1/maps")


@pytest.mark.parametrize(("version", "error"), [("4.16", errno.EINVAL), ("6.1", errno.EOVERFLOW)])
def test_an_offset_that_would_wrap_never_reaches_a_driver_of_today(version, error):
    with kmock.boot(version=version) as k:
        asked = []

        def refuse(filp, vma):
            asked.append(vma.vm_pgoff)
            return -errno.EINVAL

        misc = miscdevice(name="dev", fops=file_operations(mmap=refuse))
        misc_register(misc)
        p = k.user()
        with pytest.raises(OSError) as failed:
            p.mmap(p.open("/dev/dev"), PAGE, mmap.PROT_READ, mmap.MAP_SHARED, (1 << 64) - PAGE)
        assert failed.value.errno == error
        assert bool(asked) == (error == errno.EINVAL)
        p.exit()
        misc_deregister(misc)
