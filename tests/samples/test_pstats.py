"""The per-CPU statistics driver: what it counts, and that it loses and leaks nothing."""

from __future__ import annotations

import struct

import pytest

import kmock

PATH = "/dev/pstats0"
DRIVER = "sample_drivers.pstats"


def counted(process):
    fd = process.open(PATH)
    found = struct.unpack("<QQ", process.read(fd, 16))
    process.close(fd)
    return found


def test_each_processor_counts_for_itself_and_the_sum_is_right():
    with kmock.boot(cpus=4) as k:
        module = k.insmod(DRIVER)
        p = k.user()
        fd = p.open(PATH)
        for size in (1, 100, 1500):
            p.write(fd, bytes(size))
        for cpu in (1, 3, 3):
            with k.on_cpu(cpu):
                k.raise_irq(module.IRQ)
        p.close(fd)
        assert counted(p) == (6, 1601 + 3 * 64)
        p.exit()
        k.rmmod(module)
    assert not k.reports


def test_bad_packets_are_not_counted():
    with kmock.boot() as k:
        module = k.insmod(DRIVER)
        p = k.user()
        fd = p.open(PATH)
        for size in (0, 1501):
            with pytest.raises(OSError, match="Invalid argument"):
                p.write(fd, bytes(size))
        p.close(fd)
        assert counted(p) == (0, 0)
        p.exit()
        k.rmmod(module)
    assert not k.reports


@pytest.mark.parametrize("nth", range(1, 7))
def test_failures_leave_nothing_behind(nth):
    with kmock.boot() as k:
        k.faults.fail_nth(nth)
        try:
            k.insmod(DRIVER)
            p = k.user()
            fd = p.open(PATH)
            p.write(fd, b"packet")
            p.read(fd, 16)
        except OSError:
            assert k.faults.calls_left == 0
        k.faults.clear()
    assert not k.reports
