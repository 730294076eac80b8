"""Managed resources: whose they are, and in which order they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux.device import devres_add, devres_alloc, devres_free, devres_release_all
from kmock.linux.slab import GFP_KERNEL

if TYPE_CHECKING:
    from kmock import Kernel


def test_resources_go_in_reverse_order(kernel: Kernel) -> None:
    dev = kernel.device("dev")
    gone = []

    def release(_, res):
        gone.append(res.u32[0])

    for n in range(3):
        res = devres_alloc(release, 4, GFP_KERNEL)
        assert res[0:4] == bytes(4)
        res.u32[0] = n
        devres_add(dev, res)
    assert devres_release_all(dev) == 3
    assert gone == [2, 1, 0]
    assert dev.driver is None


def test_what_no_device_has_is_freed_by_hand(kernel: Kernel) -> None:
    devres_free(devres_alloc(lambda *_: None, 64, GFP_KERNEL))
    devres_free(0)


def test_the_machines_end_unbinds(kernel: Kernel) -> None:
    dev = kernel.device("dev")
    devres_add(dev, devres_alloc(lambda *_: None, 64, GFP_KERNEL))
