"""Replays what the ``dma`` area has of managed resources: what a device owns, and when it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux.device import (
    device_release_driver,
    devm_add_action,
    devm_kfree,
    devm_kmalloc,
    devm_kzalloc,
    devm_release_action,
    devres_close_group,
    devres_open_group,
    devres_release_group,
)
from kmock.linux.platform_device import (
    platform_device_register_simple,
    platform_device_unregister,
    platform_driver,
    platform_driver_register,
)
from kmock.linux.slab import GFP_KERNEL, ZERO_SIZE_PTR, kfree, kmalloc
from tests.conformance.replay import scenario

if TYPE_CHECKING:
    from kmock import Kernel
    from kmock.linux.device import device
    from kmock.linux.platform_device import platform_device
    from tests.conformance.replay import Replay


def bound() -> platform_device:
    """A platform device "orc" with a driver."""
    platform_driver_register(platform_driver(probe=lambda _: 0, driver={"name": "orc"}))
    return platform_device_register_simple("orc", 0, None, 0)


@scenario("context.devm-kfree-foreign")
def kfree_foreign(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = kmalloc(64, GFP_KERNEL)
    devm_kfree(pdev.dev, p)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.devm-kfree-null")
def kfree_null(k: Kernel, s: Replay) -> None:
    pdev = bound()
    s.check("devm_kmalloc_0_is_ZERO_SIZE_PTR", devm_kmalloc(pdev.dev, 0, GFP_KERNEL) == ZERO_SIZE_PTR)
    devm_kfree(pdev.dev, ZERO_SIZE_PTR)
    devm_kfree(pdev.dev, None)
    platform_device_unregister(pdev)


@scenario("context.devm-use-after-unbind")
def use_after_unbind(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = devm_kzalloc(pdev.dev, 64, GFP_KERNEL)
    device_release_driver(pdev.dev)
    p[0] = 1
    platform_device_unregister(pdev)


@scenario("context.devm-release-action")
def release_action(k: Kernel, s: Replay) -> None:
    pdev = bound()
    released: list[str] = []
    devm_add_action(pdev.dev, released.append, "a")
    devm_add_action(pdev.dev, released.append, "b")
    devm_release_action(pdev.dev, released.append, "a")
    assert released == ["a"]
    device_release_driver(pdev.dev)
    s.check("release", released)
    platform_device_unregister(pdev)


@scenario("context.devres-group")
def group(k: Kernel, s: Replay) -> None:
    pdev = bound()
    dev: device = pdev.dev
    released: list[str] = []
    devm_add_action(dev, released.append, "outside1")
    g = devres_open_group(dev, None, GFP_KERNEL)
    devm_add_action(dev, released.append, "in1")
    devm_add_action(dev, released.append, "in2")
    devres_close_group(dev, g)
    devm_add_action(dev, released.append, "outside2")
    s.check("released", devres_release_group(dev, g))
    assert released == ["in2", "in1"]
    device_release_driver(dev)
    s.check("release", released)
    platform_device_unregister(pdev)


@scenario("context.devres-no-driver")
def no_driver(k: Kernel, s: Replay) -> None:
    pdev = platform_device_register_simple("orc_nodrv", 0, None, 0)
    released: list[str] = []
    devm_add_action(pdev.dev, released.append, "a")
    s.check("bound", pdev.dev.driver is not None)
    platform_device_unregister(pdev)
    s.check("release", released[0])


@scenario("context.kfree-of-devm")
def kfree_of_devm(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = devm_kmalloc(pdev.dev, 64, GFP_KERNEL)
    kfree(p)
    device_release_driver(pdev.dev)
    platform_device_unregister(pdev)
