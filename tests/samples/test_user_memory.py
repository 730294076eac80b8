"""Drivers that show memory to processes, or use theirs: framebuf, capture, userbuf."""

from __future__ import annotations

import errno
import mmap
import os
import struct
from contextlib import suppress

import pytest

import kmock
from sample_drivers import capture, framebuf, userbuf

PAGE = 4096
RW = mmap.PROT_READ | mmap.PROT_WRITE


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


class TestFramebuf:
    @pytest.fixture
    def window(self, k):
        return k.mmio(framebuf.BASE, framebuf.SIZE)

    @pytest.fixture
    def module(self, k, window):
        return k.insmod("sample_drivers.framebuf")

    def test_the_screen_is_the_devices_memory(self, k, module, window):
        p = k.user()
        screen = p.mmap(p.open("/dev/framebuf"), framebuf.SIZE, RW, mmap.MAP_SHARED)
        p.store(screen + PAGE, b"pixels!!")
        assert window.read(PAGE, 4) == int.from_bytes(b"pixe", "little")
        window.write(4, 4, 0x00FF_00FF)
        assert p.load(screen + 4, 4) == b"\xff\0\xff\0"
        p.exit()
        k.rmmod(module)

    def test_the_shadow_is_shared_and_flushed(self, k, module, window):
        painter, viewer = k.user(), k.user()
        fds = {p: p.open("/dev/framebuf") for p in (painter, viewer)}
        at = {p: p.mmap(fds[p], framebuf.SIZE, RW, mmap.MAP_SHARED, framebuf.SHADOW) for p in fds}
        picture = bytes(range(256)) * (framebuf.SIZE // 256)
        painter.store(at[painter], picture)
        assert viewer.load(at[viewer], framebuf.SIZE) == picture
        painter.ioctl(fds[painter], framebuf.FLUSH)
        screen = viewer.mmap(fds[viewer], framebuf.SIZE, mmap.PROT_READ, mmap.MAP_SHARED)
        assert viewer.load(screen, framebuf.SIZE) == picture
        for p in fds:
            p.exit()
        k.rmmod(module)

    @pytest.mark.parametrize("offset", [0, PAGE, framebuf.SIZE, framebuf.SHADOW + PAGE, framebuf.SHADOW * 2])
    def test_nothing_beside_them_is_shown(self, k, module, offset):
        p = k.user()
        with pytest.raises(OSError, match="Invalid argument"):
            p.mmap(p.open("/dev/framebuf"), framebuf.SIZE + PAGE * (not offset), RW, mmap.MAP_SHARED, offset)
        p.exit()
        k.rmmod(module)

    def test_a_mapping_holds_the_module(self, k, module):
        p = k.user()
        fd = p.open("/dev/framebuf")
        address = p.mmap(fd, PAGE, RW, mmap.MAP_SHARED)
        p.close(fd)
        with pytest.raises(OSError, match="busy"):
            k.rmmod(module)
        p.munmap(address, PAGE)
        k.rmmod(module)


@pytest.mark.parametrize("lazy", [False, True])
class TestCapture:
    def test_frames_are_seen_by_all(self, k, lazy):
        module = k.insmod("sample_drivers.capture", lazy=lazy)
        watchers = [k.user(), k.user()]
        fds = [p.open("/dev/capture") for p in watchers]
        at = [
            p.mmap(fd, capture.RING * PAGE, mmap.PROT_READ, mmap.MAP_SHARED)
            for p, fd in zip(watchers, fds, strict=True)
        ]
        for value in range(1, 7):
            number = watchers[0].ioctl(fds[0], capture.CAPTURE, value)
            for p, address in zip(watchers, at, strict=True):
                frame = p.load(address + number % capture.RING * PAGE, PAGE)
                assert struct.unpack("<I", frame[:4]) == (number,)
                assert set(frame[4:]) == {value}
        for p in watchers:
            p.exit()
        k.rmmod(module)

    def test_nobody_may_write(self, k, lazy):
        module = k.insmod("sample_drivers.capture", lazy=lazy)
        p = k.user()
        fd = p.open("/dev/capture")
        with pytest.raises(OSError, match="Invalid argument"):
            p.mmap(fd, PAGE, RW, mmap.MAP_SHARED)
        address = p.mmap(fd, PAGE, mmap.PROT_READ, mmap.MAP_SHARED)
        with pytest.raises(OSError, match="Permission denied"):
            p.mprotect(address, PAGE, RW)
        p.exit()
        k.rmmod(module)

    def test_a_child_sees_the_frames_that_come_after_it(self, k, lazy):
        module = k.insmod("sample_drivers.capture", lazy=lazy)
        p = k.user()
        fd = p.open("/dev/capture")
        address = p.mmap(fd, capture.RING * PAGE, mmap.PROT_READ, mmap.MAP_SHARED)
        child = p.fork()
        p.ioctl(fd, capture.CAPTURE, 9)
        assert child.load(address + PAGE + 4, 4) == b"\t\t\t\t"
        p.exit()
        assert child.load(address + PAGE + 4, 1) == b"\t"
        child.exit()
        k.rmmod(module)

    def test_beyond_the_ring(self, k, lazy):
        module = k.insmod("sample_drivers.capture", lazy=lazy)
        p = k.user()
        fd = p.open("/dev/capture")
        with suppress(OSError):
            address = p.mmap(fd, (capture.RING + 1) * PAGE, mmap.PROT_READ, mmap.MAP_SHARED)
            with pytest.raises(kmock.UserSignal, match="SIGBUS"):
                p.load(address + capture.RING * PAGE, 1)
            assert lazy
        p.exit()
        k.rmmod(module)


class TestUserbuf:
    @pytest.fixture
    def module(self, k):
        return k.insmod("sample_drivers.userbuf")

    @pytest.fixture
    def ioctl(self, k, module):
        p = k.user()
        fd = p.open("/dev/userbuf")
        yield lambda addr, length, value: p.ioctl(fd, userbuf.FILL, p.buffer(struct.pack("<QIB", addr, length, value)))
        p.exit()
        k.rmmod(module)

    @pytest.fixture
    def p(self, k, ioctl):
        return k.processes[0]

    @pytest.mark.parametrize(("offset", "length"), [(0, 1), (0, 3 * PAGE), (PAGE - 1, 2), (100, 2 * PAGE), (4000, 200)])
    def test_fills_what_was_meant_and_nothing_else(self, p, ioctl, offset, length):
        buffer = p.buffer(4 * PAGE)
        ioctl(int(buffer) + offset, length, 7)
        expected = bytes(offset) + b"\7" * length
        assert p.load(buffer, 4 * PAGE) == expected.ljust(4 * PAGE, b"\0")

    @pytest.mark.parametrize(
        ("length", "error"), [(0, errno.EINVAL), (userbuf.MOST + 1, errno.EINVAL), (PAGE + 1, errno.EFAULT)]
    )
    def test_refuses(self, p, ioctl, length, error):
        buffer = p.buffer(PAGE)
        with pytest.raises(OSError, match=os.strerror(error)):
            ioctl(int(buffer), length, 7)
        assert p.load(buffer, 1) == b"\0"

    def test_memory_that_nobody_has_touched_yet(self, p, ioctl):
        address = p.mmap(-1, 2 * PAGE, RW, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        ioctl(address + 10, PAGE, 3)
        assert p.load(address + 9, PAGE + 2) == b"\0" + b"\3" * PAGE + b"\0"

    def test_read_only_memory_stays_as_it_is(self, p, ioctl):
        address = p.mmap(-1, PAGE, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with pytest.raises(OSError, match="Bad address"):
            ioctl(address, 8, 1)

    def test_a_child_that_shares_the_page_is_left_alone(self, p, ioctl):
        buffer = p.buffer(PAGE)
        child = p.fork()
        ioctl(int(buffer), 8, 5)
        assert p.load(buffer, 8) == b"\5" * 8
        assert child.load(buffer, 8) == bytes(8)
        child.exit()


@pytest.mark.parametrize("name", ["framebuf", "capture", "userbuf"])
def test_every_call_that_can_fail_fails_once(name):
    for nth in range(1, 40):
        with kmock.boot() as kernel:
            kernel.mmio(framebuf.BASE, framebuf.SIZE)
            kernel.faults.fail_nth(nth)
            p = kernel.user()
            with suppress(OSError, kmock.UserSignal):
                kernel.insmod(f"sample_drivers.{name}")
                p.load(p.mmap(p.open(f"/dev/{name}"), PAGE, mmap.PROT_READ, mmap.MAP_SHARED), 1)
            done = not kernel.faults.calls_left
            survived = kernel.faults.calls_left > 0
        assert not kernel.reports.unexpected, nth
        if survived:
            return
        assert done
    raise AssertionError("there is no end to the calls that can fail")
