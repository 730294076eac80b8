"""The driver of the teaching device ``edu``: with its device, without it, and with every call failing once."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

import pytest

import kmock
from sample_drivers import edu
from sample_drivers.edu_hw import BUFFER_SIZE, DEVICE, DMA_MASK_BITS, SIZE, VENDOR, Edu

DRIVER = "sample_drivers.edu"


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert [str(r) for r in kernel.reports.unexpected] == []


def plug(k, model=None):
    return k.pci_device(VENDOR, DEVICE, {0: SIZE}, model or Edu())


class ByLine(Edu):
    msi = 0


@pytest.mark.parametrize("model", [Edu, ByLine])
def test_computes(k, model):
    plug(k, model())
    module = k.insmod(DRIVER)
    p = k.user()
    fd = p.open("/dev/edu")
    assert [p.ioctl(fd, edu.COMPUTE, n) for n in (0, 5, 12)] == [1, 120, 479001600]
    with pytest.raises(OSError) as refused:
        p.ioctl(fd, edu.COMPUTE, 13)
    assert refused.value.errno == errno.EINVAL
    p.exit()
    k.rmmod(module)


def test_moves_data_both_ways(k):
    pdev = plug(k)
    module = k.insmod(DRIVER)
    p = k.user()
    fd = p.open("/dev/edu")
    data = bytes(n * 7 % 251 for n in range(BUFFER_SIZE))
    assert p.write(fd, data) == BUFFER_SIZE
    assert bytes(pdev.model.buffer) == data
    pdev.model.buffer[:] = data[::-1]
    assert p.read(fd, BUFFER_SIZE) == data[::-1]
    p.exit()
    assert pdev.dev.dma_mask == (1 << DMA_MASK_BITS) - 1
    k.rmmod(module)


def test_either_may_come_first_and_come_again(k):
    module = k.insmod(DRIVER)
    with pytest.raises(FileNotFoundError):
        k.user().open("/dev/edu")
    pdev = plug(k)
    for _ in range(2):
        k.write_file("/sys/bus/pci/drivers/edu/unbind", pdev.name)
        assert not os.path.exists("/dev/edu")
        k.write_file("/sys/bus/pci/drivers/edu/bind", pdev.name)
    p = k.user()
    assert p.ioctl(p.open("/dev/edu"), edu.COMPUTE, 3) == 6
    p.exit()
    k.rmmod(module)


def test_something_else_behind_the_id(k):
    k.pci_device(VENDOR, DEVICE, {0: SIZE})
    module = k.insmod(DRIVER)
    with pytest.raises(FileNotFoundError):
        k.user().open("/dev/edu")
    k.rmmod(module)


def test_a_device_that_never_answers(k):
    class Mute(Edu):
        def raise_irq(self, vector=0):
            pass

    plug(k, Mute())
    module = k.insmod(DRIVER)
    p = k.user()
    with pytest.raises(OSError) as late:
        p.ioctl(p.open("/dev/edu"), edu.COMPUTE, 3)
    assert late.value.errno == errno.ETIMEDOUT
    p.exit()
    k.rmmod(module)


def test_every_failure_is_survived():
    for nth in range(1, 60):
        with kmock.boot() as kernel:
            plug(kernel)
            kernel.faults.fail_nth(nth)
            with suppress(OSError):
                module = kernel.insmod(DRIVER)
                with suppress(OSError):
                    p = kernel.user()
                    p.write(p.open("/dev/edu"), b"abc")
                p.exit()
                kernel.rmmod(module)
            survived = kernel.faults.calls_left > 0
        assert [str(r) for r in kernel.reports.unexpected] == [], nth
        if survived:
            break
    assert nth > 5
