"""Numbers that a device chose, and what becomes of them when they are used without a check."""

from __future__ import annotations

import pytest

import kmock
from kmock.lang.device_value import DeviceValue, derived
from kmock.linux.io import inl, ioremap, iounmap, readl
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc, kzalloc
from kmock.linux.string import memcpy, memset
from kmock.linux.types import Ptr

MMIO = 0xF000_0000


def test_sums_and_products_remember():
    value = derived(7, 0x10)
    for made, number in (
        (value + 1, 8),
        (1 + value, 8),
        (value - 1, 6),
        (10 - value, 3),
        (value * 4, 28),
        (4 * value, 28),
        (value << 2, 28),
    ):
        assert made == number
        assert isinstance(made, DeviceValue)
        assert made.source == 0x10


def test_what_was_looked_at_is_a_plain_number():
    value = derived(7, 0x10)
    for made in (value & 3, value >> 1, value % 4, value // 2, -value, value | 8, int(value)):
        assert made.__class__ is int
    assert (value + 0.5).__class__ is float
    assert str(value) == "7"
    assert repr(value) == "7"
    assert f"{value:#x}" == "0x7"


def test_a_pointer_stays_a_pointer():
    assert (derived(7, 0x10) + Ptr(0x1000)).__class__ is Ptr
    assert (Ptr(0x1000) + derived(7, 0x10)).__class__ is Ptr


@pytest.fixture
def regs():
    """Registers of a device that says 96, on a machine of its own."""
    with kmock.boot() as k:
        k.mmio(MMIO, 4096).write(0, 4, 96)
        k.ports(0x1000, 4).write(0, 4, 96)
        mapped = ioremap(MMIO, 4096)
        yield mapped
        iounmap(mapped)


USES = {
    "index": lambda p, n: p[n],
    "store": lambda p, n: p.__setitem__(n, 0),
    "slice": lambda p, n: p[0:n],
    "element": lambda p, n: p.u32[n],
    "arithmetic": lambda p, n: p[n * 2 + 4],
    "length": lambda p, n: memset(p, 0, n),
    "copy": lambda p, n: memcpy(p, p, n),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_index_or_length_that_a_device_chose(regs, use):
    k = kmock.current.current.kernel
    p = kzalloc(64, GFP_KERNEL)
    with k.expect("mmio-value-unchecked") as found:
        use(p, readl(regs))
    assert found[0].headline.startswith("BUG: KASAN: ")
    assert any("as the device said at 0xf0000000" in line for line in found[0].lines)
    kfree(p)


def test_ports_choose_too(regs):
    k = kmock.current.current.kernel
    p = kmalloc(64, GFP_KERNEL)
    with k.expect("mmio-value-unchecked", count=1):
        p[inl(0x1000)] = 0
    kfree(p)


def test_an_index_of_the_drivers_own_is_its_own(regs):
    k = kmock.current.current.kernel
    p = kmalloc(64, GFP_KERNEL)
    with k.expect("slab-out-of-bounds-right", count=1):
        p[64] = readl(regs)
    kfree(p)
