"""Copies between kernel and process: what is copied, what is not, and what kmock says about it."""

from __future__ import annotations

import errno

import pytest

import kmock
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.slab import (
    GFP_KERNEL,
    kfree,
    kmalloc,
    kmem_cache_alloc,
    kmem_cache_create,
    kmem_cache_create_usercopy,
    kmem_cache_destroy,
    kmem_cache_free,
    kzalloc,
)
from kmock.linux.types import Ptr, Struct, s32, u16, u32

# Inside a class Python would mangle these.
from kmock.linux.uaccess import __copy_from_user as unchecked_copy_from_user
from kmock.linux.uaccess import __copy_from_user_inatomic as copy_from_user_inatomic
from kmock.linux.uaccess import __copy_to_user as unchecked_copy_to_user
from kmock.linux.uaccess import __get_user as unchecked_get_user
from kmock.linux.uaccess import (
    access_ok,
    clear_user,
    copy_from_user,
    copy_from_user_nofault,
    copy_to_user,
    copy_to_user_nofault,
    get_user,
    pagefault_disable,
    pagefault_enable,
    put_user,
    strncpy_from_user,
    strnlen_user,
)

ALPHABET = b"abcdefghijklmnopqrstuvwxyz"


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
def buf(k):
    found = kzalloc(64, GFP_KERNEL)
    yield found
    if found.origin.live:
        kfree(found)


class TestCopies:
    def test_there_and_back(self, p, buf):
        u = p.buffer(ALPHABET)
        assert copy_from_user(buf, u, 26) == 0
        assert buf[0:26] == ALPHABET
        buf[0:3] = b"ABC"
        assert copy_to_user(u, buf, 3) == 0
        assert p.load(u, 6) == b"ABCdef"

    def test_across_pages(self, k, p):
        data = bytes(range(256)) * 40
        u = p.buffer(data)
        big = kmalloc(len(data), GFP_KERNEL)
        assert copy_from_user(big, u, len(data)) == 0
        assert big[0 : len(data)] == data
        kfree(big)

    def test_a_short_copy_returns_the_exact_rest_and_zeroes_the_tail(self, p, buf):
        buf[0:16] = b"x" * 16
        u = p.buffer(b"1234")
        assert copy_from_user(buf, u, 16) == 12
        assert buf[0:16] == b"1234" + bytes(12)
        assert copy_to_user(u, buf, 16) == 12

    def test_the_unchecked_copy_zeroes_nothing(self, p, buf):
        buf[0:16] = b"x" * 16
        assert unchecked_copy_from_user(buf, p.buffer(b"1234"), 16) == 12
        assert buf[0:16] == b"1234" + b"x" * 12

    def test_nothing_of_nothing(self, p, buf):
        assert copy_from_user(buf, p.buffer(4), 0) == 0
        assert copy_to_user(p.buffer(4), buf, 0) == 0

    @pytest.mark.parametrize("address", [0, 0x1000, 0x7FFF_FFFF_FFFF, 0xFFFF_8880_0000_0000, (1 << 64) - 8])
    def test_bad_addresses_of_the_process_are_its_own_fault(self, p, buf, address):
        assert copy_to_user(Ptr(address), buf, 8) == 8
        assert copy_from_user(buf, address, 8) == 8

    def test_the_memory_of_a_process_is_its_own(self, k, p, buf):
        other = k.user()
        u = p.buffer(b"mine")
        assert other.mm.vma_lookup(u) is None
        with pytest.raises(kmock.UserSignal, match="SIGSEGV"):
            other.load(u, 4)

    def test_a_huge_length_is_refused(self, k, p, buf):
        with k.expect("usercopy-int-truncation"):
            assert copy_from_user(buf, p.buffer(8), 1 << 31) == 1 << 31

    def test_clear_user(self, p):
        u = p.buffer(ALPHABET)
        assert clear_user(u + 1, 2) == 0
        assert p.load(u, 4) == b"a\0\0d"
        assert clear_user(u, 30) == 4

    def test_memory_that_is_not_there_yet_comes_when_it_is_copied_to(self, p, buf):
        import mmap

        address = p.mmap(-1, 8192, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE)
        assert copy_to_user(Ptr(address + 4090), buf, 10) == 0
        p.munmap(address, 8192)
        assert copy_to_user(Ptr(address), buf, 10) == 10

    def test_read_only_memory_is_not_written_to(self, p, buf):
        import mmap

        address = p.mmap(-1, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE)
        assert copy_to_user(Ptr(address), buf, 10) == 10
        assert copy_from_user(buf, Ptr(address), 10) == 0


class TestScalars:
    def test_the_view_decides_the_width(self, p):
        u = p.buffer(b"\x01\x02\x03\x04\xff\xff\xff\xff")
        assert get_user(u.u32) == (0, 0x04030201)
        assert get_user((u + 4).s32) == (0, -1)
        assert get_user(u, u16) == (0, 0x0201)
        assert get_user(u + 4, s32) == (0, -1)
        assert get_user(u, 2) == (0, 0x0201)
        assert get_user(u) == (0, 1)

    def test_put_user(self, p):
        u = p.buffer(8)
        assert put_user(0x11223344, u.u32) == 0
        assert put_user(-1, u + 4, u16) == 0
        assert p.load(u, 8) == b"\x44\x33\x22\x11\xff\xff\0\0"

    def test_faults(self, p):
        u = p.buffer(2)
        assert get_user(u.u32) == (-errno.EFAULT, 0)
        assert put_user(1, u.u32) == -errno.EFAULT
        assert get_user(0xFFFF_8880_0000_0000, u32) == (-errno.EFAULT, 0)

    def test_a_plain_number_is_an_address(self, p):
        assert get_user(int(p.buffer(b"\x07")), 1) == (0, 7)


class TestStrings:
    def test_strncpy_from_user(self, p, buf):
        u = p.buffer(b"hello\0world\0")
        assert strncpy_from_user(buf, u, 64) == 5
        assert buf[0:6] == b"hello\0"
        assert strncpy_from_user(buf, u, 3) == 3
        assert strncpy_from_user(buf, p.buffer(b"endless"), 64) == -errno.EFAULT
        assert strncpy_from_user(buf, 0x10, 64) == -errno.EFAULT
        assert strncpy_from_user(buf, u, 0) == 0

    def test_strncpy_from_user_wants_room_for_all_it_may_copy(self, k, p, buf):
        with k.expect("usercopy-overflow-object") as found:
            assert strncpy_from_user(buf, p.buffer(b"short\0"), 65) == 5
        assert "in strncpy_from_user+" in found[0].headline

    def test_strncpy_from_user_into_a_local_array(self, p):
        local = bytearray(8)
        assert strncpy_from_user(local, p.buffer(b"abc\0"), 8) == 3
        assert local[:4] == b"abc\0"

    def test_strnlen_user(self, p):
        u = p.buffer(b"hello\0")
        assert strnlen_user(u, 64) == 6
        assert strnlen_user(u, 3) == 4
        assert strnlen_user(p.buffer(b"endless"), 64) == 0
        assert strnlen_user(0x10, 8) == 0


class TestWithoutFaults:
    def test_access_ok_is_arithmetic(self, k):
        top = k.layout.task_size
        assert access_ok(0, 8)
        assert access_ok(top - 8, 8)
        assert not access_ok(top - 8, 9)
        assert access_ok(0, 0, 8)  # before 5.0

    def test_an_absent_page_is_not_brought_in(self, p, buf):
        import mmap

        address = p.mmap(-1, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE)
        pagefault_disable()
        assert copy_from_user_inatomic(buf, address, 8) == 8
        pagefault_enable()
        assert copy_from_user_inatomic(buf, address, 8) == 0

    def test_nofault_works_in_any_context(self, k, p, buf):
        u = p.buffer(b"12345678")
        with k.hardirq():
            assert copy_from_user_nofault(buf, u, 8) == 0
            assert copy_to_user_nofault(u, buf, 8) == 0
            assert copy_from_user_nofault(buf, u, 9) == -errno.EFAULT
            assert copy_from_user_nofault(buf, 0xFFFF_8880_0000_0000, 8) == -errno.EFAULT

    def test_page_faults_off_in_atomic_context_is_silent(self, k, p, buf):
        u = p.buffer(8)
        pagefault_disable()
        with k.hardirq():
            assert copy_from_user(buf, u, 8) == 0
        pagefault_enable()


class TestFindings:
    def test_in_interrupt(self, k, p, buf):
        u = p.buffer(8)
        with k.expect("usercopy-irq-context", count=1) as found, k.hardirq():
            assert copy_from_user(buf, u, 4) == 0
        assert found[0].headline == "BUG: sleeping function called from invalid context at lib/usercopy.c:14"
        assert "lib/usercopy.c:15 _copy_from_user" in k.dmesg()

    def test_atomic_get_user_is_at_the_drivers_own_line(self, k, p):
        u = p.buffer(8)
        with k.expect("usercopy-atomic") as found:
            k.cpu.preempt_count += 1
            assert get_user(u) == (0, 0)
            k.cpu.preempt_count -= 1
        assert "test_uaccess.py:" in found[0].headline

    def test_past_the_object(self, k, p, buf):
        u = p.buffer(100)
        with k.expect("usercopy-overflow-object") as found:
            assert copy_to_user(u, buf, 100) == 0
            assert copy_from_user(buf, u, 100) == 0
        assert found[0].headline.startswith("BUG: KASAN: slab-out-of-bounds in _copy_to_user+")
        assert found[0].is_a("slab-out-of-bounds-right")

    def test_past_the_object_stops_a_hardened_kernel(self):
        with kmock.boot(kasan=False) as k:
            u = k.user().buffer(100)
            small = kzalloc(64, GFP_KERNEL)
            with k.expect("usercopy-overflow-object") as found, pytest.raises(kmock.KernelOops):
                copy_to_user(u, small, 100)
            assert found[0].headline == (
                "usercopy: Kernel memory exposure attempt detected from SLUB object 'kmalloc-64' (offset 0, size 100)!"
            )
            with k.expect("usercopy-overflow-object") as found, pytest.raises(kmock.KernelOops):
                copy_from_user(small, u, 100)
            assert "overwrite attempt detected to" in found[0].headline
            kfree(small)
        assert not k.reports.unexpected

    def test_use_after_free_keeps_its_name(self, k, p):
        stale = kzalloc(64, GFP_KERNEL)
        kfree(stale)
        with k.expect("slab-use-after-free-read"):
            copy_to_user(p.buffer(8), stale, 8)

    @pytest.mark.parametrize("kasan", [True, False])
    def test_the_window_of_a_cache(self, kasan):
        with kmock.boot(kasan=kasan) as k:
            u = k.user().buffer(32)
            cache = kmem_cache_create_usercopy("windowed", 128, 0, 0, 32, 16, None)
            o = kmem_cache_alloc(cache, GFP_KERNEL)
            o[0:128] = bytes(128)
            assert copy_to_user(u, o + 32, 16) == 0
            with k.expect("usercopy-outside-window") as found:
                try:
                    copy_to_user(u, o + 40, 16)
                except kmock.KernelOops:
                    assert not kasan
            text = "\n".join([found[0].headline, *found[0].lines])
            assert "from SLUB object 'windowed' (offset 40, size 16)!" in text
            kmem_cache_free(cache, o)
            kmem_cache_destroy(cache)
        assert not k.reports.unexpected

    def test_a_cache_without_window(self, k, p):
        cache = kmem_cache_create("windowless", 128, 0, 0, None)
        o = kmem_cache_alloc(cache, GFP_KERNEL)
        with k.expect("usercopy-outside-window"):
            copy_from_user(o, p.buffer(8), 8)
        kmem_cache_free(cache, o)
        kmem_cache_destroy(cache)

    def test_arguments_swapped(self, k, p, buf):
        with k.expect("kernel-pointer-as-user"):
            assert copy_to_user(buf, p.buffer(8), 8) == 8

    def test_a_process_leads_the_unchecked_copy_into_the_kernel(self, k, p, buf):
        secret = kzalloc(64, GFP_KERNEL)
        with k.expect("kernel-pointer-as-user"):
            assert unchecked_copy_to_user(int(secret), buf, 8) == 0
        with k.expect("kernel-pointer-as-user"):
            assert unchecked_get_user(int(secret), 4) == (0, 0)
        kfree(secret)

    def test_unwritten_bytes(self, k, p):
        fresh = kmalloc(32, GFP_KERNEL)
        fresh[0:8] = bytes(8)
        u = p.buffer(32)
        assert copy_to_user(u, fresh, 8) == 0
        with k.expect("infoleak-heap"):
            copy_to_user(u, fresh, 9)
        kfree(fresh)

    def test_what_comes_from_the_process_is_written(self, p):
        fresh = kmalloc(32, GFP_KERNEL)
        u = p.buffer(32)
        assert copy_from_user(fresh, u, 32) == 0
        assert copy_to_user(u, fresh, 32) == 0
        kfree(fresh)

    def test_injected_faults(self, k, p, buf):
        u = p.buffer(8)
        k.faults.fail_usercopy(times=-1)
        assert copy_to_user(u, buf, 8) == 8
        assert copy_from_user(buf, u, 8) == 8
        assert get_user(u) == (0, 0)
        k.faults.clear()


class Device:
    """A misc device whose operations are the test's."""

    def __init__(self, k, **operations):
        self.k = k
        self.misc = miscdevice(name="dev", fops=file_operations(**operations))

    def __enter__(self):
        assert misc_register(self.misc) == 0
        self.p = self.k.user()
        return self.p, self.p.open("/dev/dev")

    def __exit__(self, *exc):
        self.p.exit()
        misc_deregister(self.misc)


class TestResults:
    """What a driver makes of a copy that ended early, decided when the system call returns."""

    def test_residue_returned(self, k, buf):
        with Device(k, read=lambda file, u, count, pos: copy_to_user(u + 8, buf, count)) as (p, fd):
            with k.expect("usercopy-residue-returned") as found:
                p.read(fd, 16)
            assert found[0].where.function == "<lambda>"

    def test_error_returned(self, k, buf):
        def read(file, u, count, pos):
            return -errno.EFAULT if copy_to_user(u + 8, buf, count) else count

        with Device(k, read=read) as (p, fd), pytest.raises(OSError, match="Bad address"):
            p.read(fd, 16)

    def test_short_count_returned(self, k, buf):
        with Device(k, read=lambda file, u, count, pos: count - copy_to_user(u + 8, buf, count)) as (p, fd):
            assert len(p.read(fd, 16)) == 8

    def test_result_ignored(self, k, buf):
        def write(file, u, count, pos):
            copy_from_user(buf, u + 8, count)
            return count

        with Device(k, write=write) as (p, fd), k.expect("usercopy-result-ignored"):
            assert p.write(fd, bytes(16)) == 16

    def test_result_of_put_user_ignored(self, k):
        def ioctl(file, cmd, arg):
            put_user(1, arg, u32)
            return 0

        with Device(k, unlocked_ioctl=ioctl) as (p, fd):
            p.ioctl(fd, 1, p.buffer(4))
            with k.expect("usercopy-result-ignored"):
                p.ioctl(fd, 1, 0)

    def test_a_second_try_that_succeeds_is_no_mistake(self, k, buf):
        import mmap

        def ioctl(file, cmd, arg):
            pagefault_disable()
            left = copy_from_user_inatomic(buf, arg, 8)
            pagefault_enable()
            return -errno.EFAULT if left and copy_from_user(buf, arg, 8) else 0

        with Device(k, unlocked_ioctl=ioctl) as (p, fd):
            address = p.mmap(-1, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE)
            assert p.ioctl(fd, 1, address) == 0

    def test_user_pointer_used_directly(self, k):
        def write(file, u, count, pos):
            return u[0]

        with Device(k, write=write) as (p, fd), k.expect("user-pointer-deref"), pytest.raises(kmock.KernelOops):
            p.write(fd, b"x")


class Point(Struct):
    x: u32
    y: u32


class TestWhatStandsForMemory:
    def test_a_struct(self, p):
        point = Point.at(kzalloc(8, GFP_KERNEL))
        u = p.buffer(b"\x01\0\0\0\x02\0\0\0")
        assert copy_from_user(point, u, 8) == 0
        assert (point.x, point.y) == (1, 2)
        point.x = 9
        assert copy_to_user(u, point, 8) == 0
        assert p.load(u, 1) == b"\x09"
        kfree(point)

    def test_a_local_array(self, p):
        local = bytearray(8)
        u = p.buffer(b"12345678")
        assert copy_from_user(local, u, 8) == 0
        assert local == b"12345678"
        assert copy_to_user(u, local[::-1], 8) == 0
        assert p.load(u, 8) == b"87654321"
        assert copy_from_user(local, u + 4, 8) == 4
        assert local == b"4321\0\0\0\0"

    def test_a_string(self, p):
        u = p.buffer(6)
        assert copy_to_user(u, "hello", 6) == 0
        assert p.load(u, 6) == b"hello\0"
