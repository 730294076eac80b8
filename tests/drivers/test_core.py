"""Devices: names, references, release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux.device import dev_name, device, device_initialize, get_device, put_device

if TYPE_CHECKING:
    from kmock import Kernel


def test_the_last_reference_releases_the_device(kernel: Kernel) -> None:
    released = []
    dev = device()
    dev.release = released.append
    device_initialize(dev)
    assert get_device(dev) is dev
    put_device(dev)
    assert not released
    put_device(dev)
    assert released == [dev]
    assert get_device(None) is None
    put_device(None)


def test_a_device_without_release_is_broken(kernel: Kernel) -> None:
    dev = device()
    dev.init_name = "lonely"
    device_initialize(dev)
    with kernel.expect("kobject-no-release") as found:
        put_device(dev)
    assert found[0].headline.startswith("Device 'lonely' does not have a release() function")


def test_a_simple_device_is_bound_with_the_mask_asked_for(kernel: Kernel) -> None:
    dev = kernel.device("eth0", dma_mask=0xFFFF_FFFF)
    assert dev_name(dev) == "eth0"
    assert dev.driver is not None
    assert (dev.dma_mask, dev.coherent_dma_mask) == (0xFFFF_FFFF, 0xFFFF_FFFF)
    again = kernel.device("eth0")
    assert dev_name(again) == "eth0"
    assert again is not dev
    bare = kernel.device("bare")
    assert (bare.dma_mask, bare.coherent_dma_mask) == (None, 0)
