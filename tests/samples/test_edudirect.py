"""The driver of ``edu`` that has the device write to the memory of processes."""

from __future__ import annotations

import errno
import mmap
import struct
from contextlib import suppress

import pytest

import kmock
from sample_drivers import edudirect
from sample_drivers.edu_hw import BUFFER_SIZE, DEVICE, SIZE, VENDOR, Edu

DRIVER = "sample_drivers.edudirect"
PAGE = 4096
RW = mmap.PROT_READ | mmap.PROT_WRITE
ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


def get(p, fd, at, length):
    p.ioctl(fd, edudirect.GET, p.buffer(struct.pack("<QI", at, length)))


def plug(k):
    pdev = k.pci_device(VENDOR, DEVICE, {0: SIZE}, Edu())
    pdev.model.buffer[:] = bytes(n % 251 for n in range(BUFFER_SIZE))
    return bytes(pdev.model.buffer)


@pytest.mark.parametrize(
    "machine", [{}, {"dma_coherent": False}, {"iommu": True}], ids=["plain", "incoherent", "iommu"]
)
@pytest.mark.parametrize(("offset", "length"), [(0, PAGE), (64, 100), (PAGE - 64, 128), (4000, PAGE)])
def test_the_device_writes_where_the_process_reads(machine, offset, length):
    with kmock.boot(**machine) as k:
        data = plug(k)
        module = k.insmod(DRIVER)
        p = k.user()
        fd = p.open("/dev/edudirect")
        at = p.mmap(-1, 3 * PAGE, RW, ANONYMOUS)
        p.store(at, b"\xee" * 3 * PAGE)
        get(p, fd, at + offset, length)
        assert p.load(at, 3 * PAGE) == b"\xee" * offset + data[:length] + b"\xee" * (3 * PAGE - offset - length)
        p.exit()
        k.rmmod(module)


def test_memory_that_may_not_be_written():
    with kmock.boot() as k:
        plug(k)
        module = k.insmod(DRIVER)
        p = k.user()
        fd = p.open("/dev/edudirect")
        at = p.mmap(-1, PAGE, mmap.PROT_READ, ANONYMOUS)
        with pytest.raises(OSError) as refused:
            get(p, fd, at, 64)
        assert refused.value.errno == errno.EFAULT
        p.exit()
        k.rmmod(module)


def test_every_call_that_can_fail_fails_once():
    for nth in range(1, 30):
        with kmock.boot() as k:
            plug(k)
            k.faults.fail_nth(nth)
            with suppress(OSError, kmock.UserSignal):
                module = k.insmod(DRIVER)
                p = k.user()
                with suppress(OSError):
                    get(p, p.open("/dev/edudirect"), p.buffer(PAGE), PAGE)
                p.exit()
                k.rmmod(module)
            k.shutdown()
            assert not k.reports.unexpected
