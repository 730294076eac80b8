"""Registers behind I/O ports, and cookies that stand for ports or for memory."""

from __future__ import annotations

import pytest

import kmock
from kmock.hw.mmio import Register, RegisterModel
from kmock.linux.io import ioremap, iounmap, readl
from kmock.linux.iomap import (
    inb,
    inb_p,
    inl,
    inl_p,
    insb,
    insl,
    insw,
    inw,
    inw_p,
    ioport_map,
    ioport_unmap,
    ioread8,
    ioread8_rep,
    ioread16,
    ioread16_rep,
    ioread16be,
    ioread32,
    ioread32_rep,
    ioread32be,
    ioread64,
    ioread64be,
    iowrite8,
    iowrite8_rep,
    iowrite16,
    iowrite16_rep,
    iowrite16be,
    iowrite32,
    iowrite32_rep,
    iowrite32be,
    iowrite64,
    iowrite64be,
    outb,
    outb_p,
    outl,
    outl_p,
    outsb,
    outsl,
    outsw,
    outw,
    outw_p,
    readsb,
    readsl,
    readsq,
    readsw,
    writesb,
    writesl,
    writesq,
    writesw,
)
from kmock.linux.ioport import release_region, request_region

BASE = 0x3F8
MMIO = 0xF000_0000


class Uart(RegisterModel):
    """What is sent comes back, byte by byte."""

    DATA = Register(0, width=1)
    STATUS = Register(5, width=1, access="ro", reset=0x60)

    def __init__(self):
        super().__init__()
        self.queue = []

    @DATA.written
    def send(self, value):
        self.queue.append(value)

    @DATA.reading
    def receive(self):
        return self.queue.pop(0) if self.queue else 0


class Queue:
    """Every load gives the next number, every store is kept."""

    def __init__(self):
        self.stored = []
        self.given = 0

    def read(self, offset, width):
        self.given += 1
        return self.given

    def write(self, offset, width, value):
        self.stored.append((offset, width, value))


def test_a_device_behind_ports(kernel):
    kernel.ports(BASE, 8, Uart())
    assert request_region(BASE, 8, "serial")
    assert kernel.read_file("/proc/ioports") == "03f8-03ff : serial\n"
    outb(0x41, BASE)
    outb_p(0x142, BASE)
    assert (inb(BASE), inb_p(BASE)) == (0x41, 0x42)
    assert inb(BASE + 5) == 0x60
    release_region(BASE, 8)


def test_plain_bytes_behind_ports(kernel):
    kernel.ports(0x1000, 16)
    outl(0x11223344, 0x1000)
    outw(0x5566, 0x1004)
    outl_p(0x99AABBCC, 0x1008)
    outw_p(0xDDEE, 0x100C)
    assert (inl(0x1000), inw(0x1004), inl_p(0x1008), inw_p(0x100C)) == (0x11223344, 0x5566, 0x99AABBCC, 0xDDEE)
    assert [inb(0x1000 + i) for i in range(4)] == [0x44, 0x33, 0x22, 0x11]


def test_nobody_answers_with_all_ones(kernel):
    assert (inb(0x80), inw(0x80), inl(0x80)) == (0xFF, 0xFFFF, 0xFFFF_FFFF)
    outb(1, 0x80)


def test_strings(kernel):
    queue = Queue()
    kernel.ports(0x1000, 16, queue)
    buffer = kernel.stack_buffer(16)
    insb(0x1000, buffer, 2)
    insw(0x1000, buffer + 2, 1)
    insl(0x1000, buffer + 4, 2)
    assert buffer[0:12] == bytes([1, 2, 3, 0, 4, 0, 0, 0, 5, 0, 0, 0])
    outsb(0x1004, buffer, 2)
    outsw(0x1004, buffer, 1)
    outsl(0x1004, buffer + 4, 1)
    assert queue.stored == [(4, 1, 1), (4, 1, 2), (4, 2, 0x201), (4, 4, 4)]


def test_cookies_of_ports(kernel):
    kernel.ports(0x1000, 16)
    cookie = ioport_map(0x1000, 16)
    iowrite8(0x11, cookie)
    iowrite16(0x2233, cookie + 2)
    iowrite32(0x44556677, cookie + 4)
    assert (ioread8(cookie), ioread16(cookie + 2), ioread32(cookie + 4)) == (0x11, 0x2233, 0x44556677)
    assert inw(0x1002) == 0x2233
    iowrite16be(0x1122, cookie)
    iowrite32be(0x33445566, cookie + 4)
    assert [inb(0x1000), inb(0x1004)] == [0x11, 0x33]
    assert (ioread16be(cookie), ioread32be(cookie + 4)) == (0x1122, 0x33445566)
    ioport_unmap(cookie)
    assert not ioport_map(0x10000, 1)
    assert not ioport_map(0x1000, 0)


def test_cookies_of_memory(kernel):
    kernel.mmio(MMIO, 4096)
    regs = ioremap(MMIO, 4096)
    iowrite64(0x1122334455667788, regs)
    assert ioread64(regs) == 0x1122334455667788
    assert ioread64be(regs) == 0x8877665544332211
    iowrite64be(0x0102030405060708, regs)
    assert ioread8(regs) == 1
    iounmap(regs)


@pytest.mark.parametrize(
    ("load", "store", "width"),
    [(ioread8_rep, iowrite8_rep, 1), (ioread16_rep, iowrite16_rep, 2), (ioread32_rep, iowrite32_rep, 4)],
)
def test_repeated_cookies(kernel, load, store, width):
    queue = Queue()
    kernel.ports(0x1000, 16, queue)
    buffer = kernel.stack_buffer(16)
    load(ioport_map(0x1000, 16), buffer, 3)
    assert buffer[0 : 3 * width] == b"".join(i.to_bytes(width, "little") for i in (1, 2, 3))
    store(ioport_map(0x1004, 4), buffer, 2)
    assert queue.stored == [(4, width, 1), (4, width, 2)]


@pytest.mark.parametrize(
    ("load", "store", "width"),
    [(readsb, writesb, 1), (readsw, writesw, 2), (readsl, writesl, 4), (readsq, writesq, 8)],
)
def test_registers_that_are_queues(kernel, load, store, width):
    queue = Queue()
    kernel.mmio(MMIO, 4096, queue)
    regs = ioremap(MMIO, 4096)
    buffer = kernel.stack_buffer(16)
    load(regs, buffer, 2)
    assert buffer[0 : 2 * width] == b"".join(i.to_bytes(width, "little") for i in (1, 2))
    store(regs + 8, buffer, 1)
    assert queue.stored == [(8, width, 1)]
    iounmap(regs)


# -- misuse -------------------------------------------------------------------------------------------------------


def test_a_memory_cookie_is_no_port():
    with kmock.boot() as k:
        k.mmio(MMIO, 4096)
        regs = ioremap(MMIO, 4096)
        with k.expect("mmio-accessor-wrong-space", count=1):
            assert inb(regs) == 0xFF
        iounmap(regs)


def test_a_port_cookie_is_no_memory():
    with kmock.boot() as k:
        k.ports(0x1000, 16)
        with pytest.raises(kmock.KernelOops) as oops:
            readl(ioport_map(0x1000, 16))
    assert oops.value.report.kind == "mmio-accessor-wrong-space"


def test_null_is_no_cookie():
    with kmock.boot() as k, k.expect("mmio-accessor-wrong-space") as found:
        assert ioread8(None) == 0xFF
        iowrite8(1, None)
    assert found[0].headline == "Bad IO access at port 0x0 (ioread8)"


@pytest.mark.parametrize(
    ("access", "kind"),
    [
        (lambda: inw(BASE), "mmio-unaligned-or-width"),
        (lambda: outb(0, BASE + 5), "mmio-register-rights"),
        (lambda: inl(BASE + 6), "mmio-out-of-range"),
        (lambda: inb(BASE + 3), "mmio-out-of-range"),
    ],
)
def test_what_the_device_does_not_have(access, kind):
    with kmock.boot() as k:
        k.ports(BASE, 8, Uart())
        with k.expect(kind, count=1):
            access()


def test_a_device_that_is_turned_off():
    with kmock.boot() as k:
        window = k.ports(BASE, 8, Uart())
        window.power(False)
        with k.expect("mmio-after-disable", count=1):
            assert inb(BASE + 5) == 0xFF
        window.power(True)
        window.pull()
        assert inb(BASE + 5) == 0xFF


def test_windows_that_cannot_be(kernel):
    kernel.ports(BASE, 8)
    with pytest.raises(ValueError, match="another device"):
        kernel.ports(BASE + 4, 8)
    with pytest.raises(ValueError, match="the last port is 0xffff"):
        kernel.ports(0xFFF8, 16)
