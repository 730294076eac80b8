"""The driver with descriptor rings, on its card: traffic, removal at any time, every call failing once, and mistakes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

import kmock
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from sample_drivers import ringnic
from sample_drivers.ringnic_hw import DEVICE, SIZE, VENDOR, RingNic
from sample_drivers.ringnic_stack import Stack

DRIVER = "sample_drivers.ringnic"
MACHINES = {
    "coherent": {},
    "coherent-iommu": {"iommu": True},
    "noncoherent": {"dma_coherent": False},
    "noncoherent-iommu": {"dma_coherent": False, "iommu": True},
}


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert [str(r) for r in kernel.reports.unexpected] == []


class ByLine(RingNic):
    msi = 0


def plug(k, model=RingNic):
    return k.pci_device(VENDOR, DEVICE, {0: SIZE}, model())


def exchange(k, driver, frames):
    """Load a driver, send frames, unload it; return what stood for the network."""
    pdev = plug(k)
    module = k.insmod(driver)
    stack = Stack(module, pdev)
    stack.send(frames)
    stack.settle()
    k.rmmod(module)
    return stack


@pytest.mark.parametrize("machine", [*MACHINES, "bounced"])
def test_what_is_sent_comes_back(machine):
    with kmock.boot(**MACHINES.get(machine, {"cmdline": "swiotlb=force"})) as k:
        stack = exchange(k, DRIVER, 1000)
        assert (stack.received, stack.wrong) == (1000, [])
        assert (stack.nic.tx_packets, stack.nic.rx_packets, stack.nic.dropped) == (1000, 1000, 0)
    assert [str(r) for r in k.reports] == []


def test_interrupts_by_line(k):
    pdev = plug(k, ByLine)
    module = k.insmod(DRIVER)
    stack = Stack(module, pdev)
    stack.send(100)
    stack.settle()
    assert (stack.received, stack.wrong) == (100, [])
    k.rmmod(module)


def test_one_interrupt_serves_many_frames(k):
    interrupts = []

    class Counting(RingNic):
        def raise_irq(self, vector=0):
            interrupts.append(self.received)
            super().raise_irq(vector)

    pdev = plug(k, Counting)
    module = k.insmod(DRIVER)
    stack = Stack(module, pdev)
    stack.send(64)
    stack.settle()
    assert stack.received == 64
    assert 1 <= len(interrupts) < 10
    k.rmmod(module)


def test_a_full_ring_is_told(k):
    pdev = plug(k)
    module = k.insmod(DRIVER)
    stack = Stack(module, pdev)
    stack.send(ringnic.ring_size)
    assert stack.nic.tx.head - stack.nic.tx.tail == ringnic.ring_size  # no time has passed
    data = kmalloc(64, GFP_KERNEL)
    assert module.ringnic_xmit(stack.nic, module.sk_buff(data, 64)) == module.NETDEV_TX_BUSY
    kfree(data)
    stack.send(1)
    stack.settle()
    assert stack.received == ringnic.ring_size + 1
    k.rmmod(module)


@pytest.mark.parametrize("nsecs", [0, 600, 2_000, 22_000, 25_000])
def test_removal_while_frames_are_on_their_way(k, nsecs):
    pdev = plug(k)
    module = k.insmod(DRIVER)
    stack = Stack(module, pdev)
    stack.send(100)
    k.advance(nsecs / 1e9)
    k.rmmod(module)
    k.advance(0.001)
    assert stack.received <= 100
    assert stack.wrong == []


def test_a_ring_of_one_is_refused(k):
    pdev = plug(k)
    module = k.insmod(DRIVER, ring_size=1)
    assert pdev.dev.driver is None
    k.rmmod(module)


def test_every_failure_is_survived():
    for nth in range(1, 200):
        with kmock.boot() as kernel:
            pdev = plug(kernel)
            kernel.faults.fail_nth(nth)
            with suppress(OSError):
                module = kernel.insmod(DRIVER, ring_size=4)
                if pdev.dev.driver is not None:
                    stack = Stack(module, pdev)
                    stack.send(3)
                    stack.settle()
                kernel.rmmod(module)
            survived = kernel.faults.calls_left > 0
        assert [str(r) for r in kernel.reports.unexpected] == [], nth
        if survived:
            break
    assert survived
    assert nth > 20


# -- one line less ------------------------------------------------------------------------------------


def without(tmp_path, line, instead="pass"):
    """The driver with one line replaced."""
    text = Path(ringnic.__file__).read_text()
    assert text.count(line) == 1
    path = tmp_path / "ringnic_broken.py"
    path.write_text(text.replace(line, instead))
    return path


SYNC_FOR_CPU = "dma_sync_single_for_cpu(dev, rx.handle[slot], length, DMA_FROM_DEVICE)"


@pytest.mark.parametrize("machine", ["noncoherent", "noncoherent-iommu"])
def test_without_the_sync_the_frames_are_stale(tmp_path, machine):
    path = without(tmp_path, SYNC_FOR_CPU)
    with kmock.boot(**MACHINES[machine]) as k:
        with k.expect("dma-sync-missing-cpu") as found:
            stack = exchange(k, path, 100)
        assert stack.received == 100
        assert len(stack.wrong) > 50
    assert not k.reports.unexpected
    assert (Path(found[0].where.file), found[0].where.function) == (path, "ringnic_copy_rx")
    assert found[0].where.source.startswith("memcpy(")


def test_without_the_sync_a_coherent_machine_goes_on_and_it_is_told(tmp_path):
    path = without(tmp_path, SYNC_FOR_CPU)
    with kmock.boot() as k:
        with k.expect("dma-sync-missing-cpu"):
            stack = exchange(k, path, 100)
        assert stack.wrong == []
    assert not k.reports.unexpected
