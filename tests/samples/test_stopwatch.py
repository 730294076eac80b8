"""The stopwatch driver with its device, without it, and with every call that can fail failing once."""

from __future__ import annotations

import errno
import struct
from contextlib import suppress
from pathlib import Path

import pytest

import kmock
from sample_drivers import stopwatch
from sample_drivers.stopwatch_hw import BASE, IRQ, SIZE, Stopwatch

DRIVER = "sample_drivers.stopwatch"


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


def run(k, device, ticks):
    device.tick(ticks)
    if device.interrupts:
        k.raise_irq(IRQ)


def test_counts_and_interrupts(k):
    device = Stopwatch()
    k.mmio(BASE, SIZE, device)
    module = k.insmod(DRIVER)
    p = k.user()
    fd = p.open("/dev/stopwatch")
    p.ioctl(fd, stopwatch.START, 5)
    run(k, device, 3)
    assert p.ioctl(fd, stopwatch.MATCHES) == 0
    run(k, device, 3)
    assert p.ioctl(fd, stopwatch.MATCHES) == 1
    assert not device.interrupts
    assert struct.unpack("<I", p.read(fd, 4)) == (6,)
    p.exit()
    k.rmmod(module)
    assert device.ctrl == 0


def test_no_device(k):
    with pytest.raises(OSError) as refused:
        k.insmod(DRIVER)
    assert refused.value.errno == errno.ENODEV


def test_device_pulled_out_before_the_driver_comes(k):
    k.mmio(BASE, SIZE, Stopwatch()).pull()
    with pytest.raises(OSError) as refused:
        k.insmod(DRIVER)
    assert refused.value.errno == errno.ENODEV


def test_two_drivers_want_the_device(k):
    k.mmio(BASE, SIZE, Stopwatch())
    first = k.insmod(DRIVER)
    with pytest.raises(OSError) as refused:
        k.insmod("sample_drivers.buggy.iomem_dereferenced")
    assert refused.value.errno == errno.EBUSY
    k.rmmod(first)


def test_every_failure_is_survived():
    for nth in range(1, 50):
        with kmock.boot() as kernel:
            kernel.mmio(BASE, SIZE, Stopwatch())
            kernel.faults.fail_nth(nth)
            with suppress(OSError):
                kernel.rmmod(kernel.insmod(DRIVER))
            survived = kernel.faults.calls_left > 0
        assert not kernel.reports.unexpected
        if survived:
            break
    assert nth > 2


def test_a_module_that_forgets_its_mapping(tmp_path):
    driver = tmp_path / "forgetful.py"
    text = Path(stopwatch.__file__).read_text(encoding="utf-8")
    driver.write_text(text.replace("    iounmap(regs)\n    release_mem_region(BASE, SIZE)\n", "    pass\n"))
    with kmock.boot() as kernel:
        kernel.mmio(BASE, SIZE, Stopwatch())
        kernel.rmmod(kernel.insmod(driver))
    assert [r.kind for r in kernel.reports] == ["region-leak", "ioremap-leak"]
