"""The disk whose requests come from a mempool: data, memory running out, reconfiguration, every call failing once."""

from __future__ import annotations

import errno
from contextlib import suppress

import pytest

import kmock
from sample_drivers import vblk

DRIVER = "sample_drivers.vblk"
SECTOR = vblk.SECTOR


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert [str(r) for r in kernel.reports.unexpected] == []


def pattern(n, salt=0):
    return bytes((i * 7 + salt) % 251 for i in range(n))


def no_memory(k):
    k.faults.failslab(probability=100, times=-1, ignore_gfp_wait=False)


def test_what_is_written_is_read(k):
    module = k.insmod(DRIVER)
    p = k.user()
    fd = p.open("/dev/vblk")
    data = pattern(10 * SECTOR)
    assert p.write(fd, data) == len(data)
    assert p.pread(fd, 4 * SECTOR, 3 * SECTOR) == data[3 * SECTOR : 7 * SECTOR]
    p.close(fd)
    k.rmmod(module)


def test_the_reserve_carries_the_io_when_there_is_no_memory(k):
    module = k.insmod(DRIVER, vblk_depth=2)
    p = k.user()
    fd = p.open("/dev/vblk")
    no_memory(k)
    data = pattern(16 * SECTOR)
    began = k.clock.jiffies
    assert p.write(fd, data) == len(data)
    # Sixteen requests through a reserve of two, one a tick: nobody waited for the five seconds to pass.
    assert k.clock.jiffies - began <= 20
    assert p.pread(fd, len(data), 0) == data
    assert module.vblk_pool.curr_nr == 2
    k.faults.clear()
    p.close(fd)
    k.rmmod(module)


def test_many_writers_share_the_reserve(k):
    from kmock.linux.kthread import kthread_run
    from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
    from kmock.linux.types import addressof, sizeof

    module = k.insmod(DRIVER, vblk_depth=2)
    done = []

    def writer(n):
        io = module.vblk_io.at(kmalloc(sizeof(module.vblk_io), GFP_KERNEL))
        io.data = kmalloc(8 * SECTOR, GFP_KERNEL)
        io.data[0 : 8 * SECTOR] = pattern(8 * SECTOR, n)
        ready.append(n)
        while not go:
            k.sched.give_way()
        module.vblk_do_io(io, 8 * n, 8 * SECTOR, 1)
        kfree(io.data)
        kfree(addressof(io))
        done.append(n)
        return 0

    ready, go = [], []
    for n in range(6):
        kthread_run(writer, n, f"writer{n}")
    while len(ready) < 6:
        k.sched.give_way()
    no_memory(k)
    go.append(1)
    k.run()
    assert sorted(done) == list(range(6))
    k.faults.clear()
    p = k.user()
    fd = p.open("/dev/vblk")
    for n in range(6):
        assert p.read(fd, 8 * SECTOR) == pattern(8 * SECTOR, n)
    p.close(fd)
    k.rmmod(module)


def test_the_depth_can_be_changed(k):
    module = k.insmod(DRIVER)
    p = k.user()
    fd = p.open("/dev/vblk")
    for depth in (16, 1, 8):
        assert p.ioctl(fd, vblk.SET_DEPTH, depth) == 0
        assert (module.vblk_pool.min_nr, module.vblk_pool.curr_nr) == (depth, depth)
        p.pwrite(fd, pattern(4 * SECTOR, depth), 0)
        assert p.pread(fd, 4 * SECTOR, 0) == pattern(4 * SECTOR, depth)
    with pytest.raises(OSError) as refused:
        p.ioctl(fd, vblk.SET_DEPTH, 0)
    assert refused.value.errno == errno.EINVAL
    p.close(fd)
    k.rmmod(module)


def test_the_end_of_the_disk(k):
    module = k.insmod(DRIVER, vblk_sectors=4)
    p = k.user()
    fd = p.open("/dev/vblk")
    assert p.write(fd, pattern(8 * SECTOR)) == 4 * SECTOR
    with pytest.raises(OSError) as full:
        p.write(fd, pattern(SECTOR))
    assert full.value.errno == errno.ENOSPC
    assert p.read(fd, SECTOR) == b""
    with pytest.raises(OSError) as odd:
        p.pread(fd, 100, 0)
    assert odd.value.errno == errno.EINVAL
    p.close(fd)
    k.rmmod(module)


def test_every_call_that_can_fail_fails_once():
    for nth in range(1, 60):
        with kmock.boot() as k:
            k.faults.fail_nth(nth)
            p = k.user()
            with suppress(OSError):
                module = k.insmod(DRIVER)
                fd = p.open("/dev/vblk")
                p.write(fd, pattern(6 * SECTOR))
                p.close(fd)
                k.rmmod(module)
            survived = k.faults.calls_left > 0
        assert [str(r) for r in k.reports.unexpected] == [], f"call {nth}"
        if survived:
            return
    pytest.fail("there is no end to the calls that can fail")
