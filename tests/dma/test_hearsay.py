"""What a device says in coherent memory, and what it may see of what it is told to look at."""

from __future__ import annotations

import pytest

from kmock.hw.device import DeviceModel
from kmock.hw.mmio import Register
from kmock.lang.device_value import DeviceValue
from kmock.linux.barrier import wmb
from kmock.linux.dma_mapping import DMA_BIT_MASK, dma_alloc_coherent, dma_free_coherent
from kmock.linux.io import ioremap, iounmap, writel, writel_relaxed
from kmock.linux.slab import GFP_KERNEL
from kmock.linux.types import Struct, be16, le32

BAR = 0xF000_0000
DOORBELL, MASK = 0x00, 0x04


class Entry(Struct):
    length: le32
    port: be16


@pytest.fixture
def ring(kernel):
    dev = kernel.device("card", dma_mask=DMA_BIT_MASK(32))
    memory, handle = dma_alloc_coherent(dev, 4096, GFP_KERNEL)
    yield dev, memory, handle
    dma_free_coherent(dev, 4096, memory, handle)


def test_numbers_of_the_device_are_known_as_such_and_the_drivers_own_are_not(kernel, ring):
    dev, memory, handle = ring
    entry = Entry.at(memory)
    assert entry.length.__class__ is int
    kernel.dma_write(dev, handle, b"\x10\0\0\0\x01\x02")
    assert (entry.length, entry.port, memory.le32[0]) == (16, 0x102, 16)
    assert {entry.length.__class__, entry.port.__class__, memory.le32[0].__class__} == {DeviceValue}
    assert memory.le32[100].__class__ is int


class Card(DeviceModel):
    """Reads its descriptor when it is rung."""

    doorbell = Register(DOORBELL, access="wo")
    mask = Register(MASK)

    def __init__(self, fetch):
        super().__init__()
        self.fetch = fetch

    @doorbell.written
    def ring(self, value):
        self.fetch()


@pytest.fixture
def card(kernel, ring):
    dev, memory, handle = ring
    fetched = []
    kernel.mmio(BAR, 0x1000, Card(lambda: fetched.append(kernel.dma_read(dev, handle, 8))))
    regs = ioremap(BAR, 0x1000)
    writel_relaxed(0, regs + MASK)  # from here on stores are looked at
    yield memory, regs, fetched
    iounmap(regs)


@pytest.mark.parametrize("order", ["wmb", "writel"])
def test_an_ordered_doorbell(card, order):
    memory, regs, fetched = card
    memory.u64[0] = 1
    if order == "wmb":
        wmb()
        writel_relaxed(1, regs + DOORBELL)
    else:
        writel(1, regs + DOORBELL)
    assert len(fetched) == 1


def test_what_the_device_does_not_read_need_not_be_visible(card):
    memory, regs, fetched = card
    memory.u64[9] = 1
    writel_relaxed(1, regs + DOORBELL)
    assert len(fetched) == 1


def test_another_register_may_overtake(card):
    memory, regs, fetched = card
    memory.u64[0] = 1
    writel_relaxed(1, regs + MASK)
    wmb()
    writel_relaxed(1, regs + DOORBELL)
    assert len(fetched) == 1


def test_a_doorbell_that_overtakes_its_descriptor(kernel, card):
    memory, regs, _ = card
    memory.u64[0] = 1
    with kernel.expect("mmio-missing-barrier", count=1):
        writel_relaxed(1, regs + DOORBELL)
