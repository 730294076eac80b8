"""Device numbers, cdevs, misc devices, and the nodes in /dev."""

from __future__ import annotations

import errno
import os

import pytest

import kmock
from kmock.linux.cdev import cdev, cdev_add, cdev_alloc, cdev_del, cdev_init
from kmock.linux.fs import (
    MAJOR,
    MINOR,
    MKDEV,
    alloc_chrdev_region,
    default_llseek,
    file_operations,
    fixed_size_llseek,
    imajor,
    iminor,
    no_llseek,
    nonseekable_open,
    noop_llseek,
    register_chrdev,
    register_chrdev_region,
    simple_read_from_buffer,
    simple_write_to_buffer,
    stream_open,
    unregister_chrdev,
    unregister_chrdev_region,
)
from kmock.linux.ioctl import _IO, _IOC_DIR, _IOC_NR, _IOC_READ, _IOC_SIZE, _IOC_TYPE, _IOC_WRITE, _IOR, _IOWR
from kmock.linux.miscdevice import MISC_DYNAMIC_MINOR, misc_deregister, misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u32, u64


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


class TestNumbers:
    def test_as_in_kdev_t(self):
        assert MKDEV(254, 3) == 254 << 20 | 3
        assert (MAJOR(MKDEV(254, 3)), MINOR(MKDEV(254, 3))) == (254, 3)

    def test_dynamic_majors_count_down(self, k):
        taken = [alloc_chrdev_region(0, 1, f"d{i}") for i in range(22)]
        assert [MAJOR(dev) for err, dev in taken if not err] == [*range(254, 233, -1), 511]
        for _, dev in taken:
            unregister_chrdev_region(dev, 1)

    def test_overlap_is_busy(self, k):
        assert register_chrdev_region(MKDEV(240, 4), 4, "a") == 0
        assert register_chrdev_region(MKDEV(240, 7), 1, "b") == -errno.EBUSY
        assert register_chrdev_region(MKDEV(240, 8), 1, "b") == 0
        assert register_chrdev_region(MKDEV(240, 0), 5, "c") == -errno.EBUSY
        unregister_chrdev_region(MKDEV(240, 4), 3)  # not what was registered: nothing happens
        assert register_chrdev_region(MKDEV(240, 4), 1, "b") == -errno.EBUSY

    def test_the_kernels_own(self, k):
        assert register_chrdev(10, "mine", file_operations()) == -errno.EBUSY

    def test_out_of_range(self, k):
        assert register_chrdev_region(MKDEV(512, 0), 1, "high") == -errno.EINVAL
        assert 'CHRDEV "high" major requested (512) is greater than the maximum (511)' in k.dmesg()
        assert alloc_chrdev_region((1 << 20) - 1, 2, "wide") == (-errno.EINVAL, 0)

    def test_without_memory(self, k):
        k.faults.failslab(ignore_gfp_wait=False, times=-1)
        assert alloc_chrdev_region(0, 1, "d") == (-errno.ENOMEM, 0)
        assert register_chrdev(0, "d", file_operations()) == -errno.ENOMEM
        k.faults.clear()
        k.faults.fail_nth(2)
        err, dev = alloc_chrdev_region(0, 1, "d")
        assert err == 0
        entry = cdev_alloc()
        entry.ops = file_operations()
        assert cdev_add(entry, dev, 1) == -errno.ENOMEM


class Board(Struct):
    id: u32
    cdev: cdev
    count: u64


class TestCdev:
    def test_embedded(self, k):
        from kmock.linux.kernel import container_of

        seen = []

        def open_(inode, file):
            board = container_of(inode.i_cdev, Board, "cdev")
            seen.append((board.id, imajor(inode), iminor(inode)))
            return 0

        err, dev = alloc_chrdev_region(2, 2, "board")
        assert err == 0
        board = Board.at(kzalloc(Board.layout(64).size, GFP_KERNEL))
        board.id = 77
        cdev_init(board.cdev, file_operations(open=open_))
        assert cdev_add(board.cdev, dev, 2) == 0
        p = k.user()
        p.open("/dev/board")
        p.open("/dev/board3")
        with pytest.raises(FileNotFoundError):
            p.open("/dev/board4")
        p.exit()
        assert seen == [(77, MAJOR(dev), 2), (77, MAJOR(dev), 3)]
        cdev_del(board.cdev)
        with pytest.raises(FileNotFoundError):
            k.user().open("/dev/board")
        unregister_chrdev_region(dev, 2)
        kfree(board)

    def test_freed_while_registered(self, k):
        _, dev = alloc_chrdev_region(0, 1, "board")
        board = Board.at(kzalloc(Board.layout(64).size, GFP_KERNEL))
        cdev_init(board.cdev, file_operations())
        cdev_add(board.cdev, dev, 1)
        with k.expect("registration-left") as found:
            kfree(board)
        assert "cdev 254:0-0" in found[0].lines[0]

    def test_added_twice(self, k):
        _, dev = alloc_chrdev_region(0, 2, "twice")
        entry = cdev_alloc()
        entry.ops = file_operations()
        cdev_add(entry, dev, 1)
        with k.expect("registration-twice"):
            cdev_add(entry, dev + 1, 1)
        cdev_del(entry)

    def test_a_file_outlives_its_cdev(self, k):
        _, dev = alloc_chrdev_region(0, 1, "gone")
        entry = cdev_alloc()
        entry.ops = file_operations(read=lambda *a: 0)
        cdev_add(entry, dev, 1)
        p = k.user()
        fd = p.open("/dev/gone")
        cdev_del(entry)
        assert p.read(fd, 1) == b""

    def test_mknod(self, k):
        major = register_chrdev(0, "named", file_operations(read=lambda *a: 0))
        k.mknod("/dev/other", MKDEV(major, 5))
        p = k.user()
        assert p.read(p.open("/dev/other"), 1) == b""
        assert p.read(p.open("/dev/named200"), 1) == b""
        p.exit()
        unregister_chrdev(major, "named")
        with pytest.raises(FileNotFoundError):
            k.user().open("/dev/other")

    def test_nobody_answers(self, k):
        k.mknod("/dev/orphan", MKDEV(250, 0))
        with pytest.raises(OSError) as caught:
            k.user().open("/dev/orphan")
        assert caught.value.errno == errno.ENXIO


class TestMisc:
    def test_dynamic_minors_count_down(self, k):
        a, b = miscdevice(name="a"), miscdevice(name="b", minor=MISC_DYNAMIC_MINOR)
        assert [misc_register(a), misc_register(b), a.minor, b.minor] == [0, 0, 127, 126]
        misc_deregister(a)
        c = miscdevice(name="c")
        misc_register(c)
        assert c.minor == 127

    def test_a_fixed_minor_is_taken_once(self, k):
        assert misc_register(miscdevice(name="a", minor=130)) == 0
        assert misc_register(miscdevice(name="b", minor=130)) == -errno.EBUSY

    def test_the_file_knows_its_device(self, k):
        seen = []
        misc = miscdevice(name="m", fops=file_operations(open=lambda inode, file: seen.append(file.private_data)))
        misc_register(misc)
        k.user().open("/dev/m")
        assert seen == [misc]
        misc_deregister(misc)

    def test_registered_twice(self, k):
        misc = miscdevice(name="m")
        misc_register(misc)
        with k.expect("registration-twice"):
            misc_register(misc)
        misc_deregister(misc)
        with k.expect("registration-twice") as found:
            misc_deregister(misc)
        assert "drivers/char/misc.c:247" in found[0].headline


class TestOperations:
    def test_a_misspelt_one(self):
        with pytest.raises(TypeError, match="struct file_operations has no field 'raed': did you mean 'read'"):
            file_operations(raed=None)
        with pytest.raises(TypeError, match="no field 'opne'"):
            file_operations().opne = None
        with pytest.raises(AttributeError, match="no field 'opne'"):
            _ = file_operations().opne

    @pytest.mark.parametrize("llseek", [default_llseek, lambda f, o, w: fixed_size_llseek(f, o, w, 100)])
    def test_seeking(self, k, llseek):
        def open_(inode, file):
            inode.i_size = 100
            return 0

        misc_register(misc := miscdevice(name="m", fops=file_operations(open=open_, llseek=llseek)))
        p = k.user()
        fd = p.open("/dev/m")
        assert [p.lseek(fd, 10), p.lseek(fd, 5, os.SEEK_CUR), p.lseek(fd, -1, os.SEEK_END)] == [10, 15, 99]
        assert [p.lseek(fd, 3, os.SEEK_DATA), p.lseek(fd, 3, os.SEEK_HOLE)] == [3, 100]
        for offset, whence, number in (
            (-1, os.SEEK_SET, errno.EINVAL),
            (100, os.SEEK_DATA, errno.ENXIO),
            (0, 9, errno.EINVAL),
        ):
            with pytest.raises(OSError) as caught:
                p.lseek(fd, offset, whence)
            assert caught.value.errno == number
        p.exit()
        misc_deregister(misc)

    @pytest.mark.parametrize(("opener", "llseek"), [(nonseekable_open, no_llseek), (stream_open, noop_llseek)])
    def test_no_seeking(self, k, opener, llseek):
        misc_register(misc := miscdevice(name="m", fops=file_operations(open=opener, llseek=llseek, read=lambda *a: 0)))
        p = k.user()
        fd = p.open("/dev/m")
        for call in (lambda: p.lseek(fd, 0), lambda: p.pread(fd, 1, 0)):
            with pytest.raises(OSError, match="Illegal seek"):
                call()
        assert p.read(fd, 1) == b""
        p.exit()
        misc_deregister(misc)

    def test_simple_buffers(self, k):
        memory = kzalloc(16, GFP_KERNEL)

        def read(file, buf, count, pos):
            return simple_read_from_buffer(buf, count, pos, memory, 16)

        def write(file, buf, count, pos):
            return simple_write_to_buffer(memory, 16, pos, buf, count)

        misc_register(misc := miscdevice(name="m", fops=file_operations(read=read, write=write, llseek=default_llseek)))
        p = k.user()
        fd = p.open("/dev/m")
        assert [p.write(fd, b"0123456789"), p.write(fd, b"0123456789"), p.write(fd, b"0")] == [10, 6, 0]
        p.lseek(fd, 4)
        assert p.read(fd, 100) == b"456789012345"
        assert p.read(fd, 100) == b""
        p.exit()
        misc_deregister(misc)
        kfree(memory)


def test_ioctl_numbers():
    cmd = _IOWR("k", 7, u64)
    assert cmd == 0xC0086B07
    assert (_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd), _IOC_SIZE(cmd)) == (_IOC_READ | _IOC_WRITE, ord("k"), 7, 8)
    assert _IO("k", 0) == 0x6B00
    assert _IOR("k", 1, int) == _IOR("k", 1, 4) == 0x80046B01
