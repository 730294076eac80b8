"""Platform devices: who is bound to whom, what a device has, and how binding fails."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from kmock.linux.device import (
    bus_find_device_by_name,
    bus_for_each_dev,
    bus_register,
    bus_rescan_devices,
    bus_type,
    bus_unregister,
    dev_driver_string,
    dev_get_platdata,
    dev_set_name,
    device,
    device_add,
    device_attach,
    device_del,
    device_driver,
    device_driver_attach,
    device_for_each_child,
    device_initialize,
    device_is_registered,
    device_register,
    device_release_driver,
    device_unregister,
    devm_add_action,
    driver_register,
    driver_unregister,
    put_device,
    wait_for_device_probe,
)
from kmock.linux.err import IS_ERR, PTR_ERR
from kmock.linux.interrupt import IRQ_HANDLED, request_irq
from kmock.linux.io import readl, writel
from kmock.linux.ioport import DEFINE_RES_IRQ, DEFINE_RES_MEM, DEFINE_RES_NAMED, IORESOURCE_MEM
from kmock.linux.platform_device import (
    EPROBE_DEFER,
    IORESOURCE_IRQ,
    PLATFORM_DEVID_AUTO,
    devm_platform_get_and_ioremap_resource,
    devm_platform_ioremap_resource,
    devm_platform_ioremap_resource_byname,
    platform_device,
    platform_device_add,
    platform_device_add_resources,
    platform_device_alloc,
    platform_device_del,
    platform_device_id,
    platform_device_info,
    platform_device_put,
    platform_device_register,
    platform_device_register_data,
    platform_device_register_full,
    platform_device_register_simple,
    platform_device_unregister,
    platform_driver,
    platform_driver_probe,
    platform_driver_register,
    platform_driver_unregister,
    platform_get_device_id,
    platform_get_drvdata,
    platform_get_irq,
    platform_get_irq_byname,
    platform_get_irq_optional,
    platform_get_resource,
    platform_get_resource_byname,
    platform_irq_count,
    platform_set_drvdata,
    to_platform_device,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.types import NULL, Ptr

if TYPE_CHECKING:
    from pathlib import Path

    from kmock import Kernel

BASE = 0xF000_0000


def driver(log: list[str], name: str = "dev", **members) -> platform_driver:
    """A driver that writes down what is asked of it."""

    def probe(pdev):
        log.append(f"probe {pdev.dev.name}")
        return 0

    def remove(pdev):
        log.append(f"remove {pdev.dev.name}")
        return 0

    return platform_driver(**({"probe": probe, "remove": remove, "driver": {"name": name}} | members))


class TestBinding:
    def test_in_either_order(self, kernel: Kernel) -> None:
        log: list[str] = []
        drv = driver(log)
        kernel.platform_device("dev", id=1)
        assert platform_driver_register(drv) == 0
        kernel.platform_device("dev", id=2)
        kernel.platform_device("other")
        platform_driver_unregister(drv)
        assert log == ["probe dev.1", "probe dev.2", "remove dev.2", "remove dev.1"]

    def test_by_hand(self, kernel: Kernel) -> None:
        log: list[str] = []
        pdev = kernel.platform_device("dev")
        platform_driver_register(driver(log))
        drivers = "/sys/bus/platform/drivers/dev"
        kernel.write_file(f"{drivers}/unbind", "dev")
        assert pdev.dev.driver is None
        with pytest.raises(OSError) as refused:
            kernel.write_file(f"{drivers}/unbind", "dev")
        assert refused.value.errno == errno.ENODEV
        kernel.write_file(f"{drivers}/bind", "dev")
        with pytest.raises(OSError) as refused:
            kernel.write_file(f"{drivers}/bind", "nobody")
        assert refused.value.errno == errno.ENODEV
        assert device_attach(pdev.dev) == 1
        device_release_driver(pdev.dev)
        assert device_driver_attach(pdev_driver(kernel), pdev.dev) == 0
        assert log == ["probe dev", "remove dev", "probe dev", "remove dev", "probe dev"]

    def test_a_probe_that_fails_is_undone(self, kernel: Kernel, dmesg) -> None:
        released: list[str] = []

        def probe(pdev):
            devm_add_action(pdev.dev, released.append, "first")
            devm_add_action(pdev.dev, released.append, "second")
            platform_set_drvdata(pdev, "data")
            return -errno.EIO

        pdev = kernel.platform_device("dev")
        assert platform_driver_register(platform_driver(probe=probe, driver={"name": "dev"})) == 0
        assert released == ["second", "first"]
        assert pdev.dev.driver is None
        assert platform_get_drvdata(pdev) is None
        assert "dev: probe of dev failed with error -5" in dmesg

    def test_a_probe_that_leaves_something_is_told(self, kernel: Kernel) -> None:
        def probe(pdev):
            request_irq(9, lambda irq, dev: IRQ_HANDLED, 0, "dev", pdev)
            kmalloc(64, GFP_KERNEL)
            return -errno.EIO

        kernel.platform_device("dev")
        with kernel.expect("irq-leak") as found, kernel.expect("leak-on-error-path") as lost:
            platform_driver_register(platform_driver(probe=probe, driver={"name": "dev"}))
        assert found[0].where.function == lost[0].where.function == "probe"

    def test_a_remove_that_leaves_something_is_told(self, kernel: Kernel) -> None:
        def probe(pdev):
            kmalloc(64, GFP_KERNEL)
            return request_irq(9, lambda irq, dev: IRQ_HANDLED, 0, "dev", pdev)

        pdev = kernel.platform_device("dev")
        platform_driver_register(platform_driver(probe=probe, driver={"name": "dev"}))
        with kernel.expect("irq-leak") as found, kernel.expect("leak-at-remove"):
            device_release_driver(pdev.dev)
        assert "free_irq" in found[0].hint

    def test_what_remove_freed_is_gone_for_whoever_comes_later(self, kernel: Kernel) -> None:
        def probe(pdev):
            platform_set_drvdata(pdev, kmalloc(64, GFP_KERNEL))
            kept.append(platform_get_drvdata(pdev))
            return 0

        kept: list[Ptr] = []
        pdev = kernel.platform_device("dev")
        platform_driver_register(driver([], probe=probe, remove=lambda pdev: kfree(platform_get_drvdata(pdev))))
        device_release_driver(pdev.dev)
        with kernel.expect("use-after-remove") as found:
            kept.pop()[0] = 1
        assert "use-after-free" in found[0].headline

    def test_by_a_table_of_ids(self, kernel: Kernel) -> None:
        table = [platform_device_id("one", 1), platform_device_id("two", 2), platform_device_id()]
        seen = []
        drv = driver([], id_table=table, probe=lambda pdev: seen.append(platform_get_device_id(pdev).driver_data) or 0)
        platform_driver_register(drv)
        kernel.platform_device("two")
        kernel.platform_device("dev")
        assert seen == [2]

    def test_a_name_is_taken_once(self, kernel: Kernel, dmesg) -> None:
        platform_driver_register(driver([]))
        assert platform_driver_register(driver([])) == -errno.EBUSY
        assert "Error: Driver 'dev' is already registered, aborting..." in dmesg
        with kernel.expect("registration-twice") as found:
            platform_driver_unregister(driver([], "never"))
        assert found[0].headline == "Unexpected driver unregister!"

    def test_for_what_is_there_now(self, kernel: Kernel) -> None:
        assert platform_driver_probe(driver([], probe=None), lambda pdev: 0) == -errno.ENODEV
        kernel.platform_device("dev")
        seen: list[object] = []
        assert platform_driver_probe(driver([], probe=None), lambda pdev: seen.append(pdev) or 0) == 0
        assert len(seen) == 1

    def test_remove_may_say_what_it_likes(self, kernel: Kernel, dmesg) -> None:
        pdev = kernel.platform_device("dev")
        platform_driver_register(driver([], remove=lambda pdev: -errno.EIO))
        device_release_driver(pdev.dev)
        assert "remove callback returned a non-zero value. This will be ignored." in dmesg

    def test_shutdown(self, kernel: Kernel) -> None:
        seen: list[object] = []
        pdev = kernel.platform_device("dev")
        platform_driver_register(driver([], shutdown=seen.append))
        kernel.platform.bus.shutdown(pdev.dev)
        assert seen == [pdev]


def pdev_driver(kernel: Kernel) -> device_driver:
    return next(d for d in kernel.buses.drivers if d.name == "dev")


class TestDeferral:
    def test_a_consumer_waits_for_its_supplier(self, kernel: Kernel) -> None:
        log: list[str] = []
        ready: list[int] = []

        def consume(pdev):
            log.append("consumer")
            return 0 if ready else -EPROBE_DEFER

        kernel.platform_device("consumer")
        platform_driver_register(driver([], "consumer", probe=consume))
        wait_for_device_probe()
        assert log == ["consumer"]
        assert kernel.read_file("/sys/kernel/debug/devices_deferred") == "consumer\t\n"
        kernel.platform_device("supplier")
        platform_driver_register(driver([], "supplier", probe=lambda pdev: ready.append(1) or 0))
        wait_for_device_probe()
        assert log == ["consumer", "consumer"]

    def test_a_worker_tries_again(self, kernel: Kernel) -> None:
        tries: list[int] = []
        kernel.platform_device("late")
        platform_driver_register(
            driver([], "late", probe=lambda pdev: tries.append(1) or (0 if len(tries) > 1 else -EPROBE_DEFER))
        )
        kernel.platform_device("other")
        platform_driver_register(driver([], "other"))
        kernel.run()
        assert len(tries) == 2

    def test_not_for_those_that_may_not(self, kernel: Kernel, dmesg) -> None:
        kernel.platform_device("dev")
        platform_driver_register(driver([], probe=lambda pdev: -EPROBE_DEFER, prevent_deferred_probe=True))
        assert "probe deferral not supported" in dmesg


class TestResources:
    @pytest.fixture
    def pdev(self, kernel: Kernel) -> platform_device:
        return kernel.platform_device(
            "dev",
            [
                DEFINE_RES_MEM(BASE, 0x100),
                DEFINE_RES_NAMED(BASE + 0x1000, 0x100, "regs", IORESOURCE_MEM),
                DEFINE_RES_IRQ(9),
                DEFINE_RES_NAMED(10, 1, "done", IORESOURCE_IRQ),
            ],
        )

    def test_are_found(self, kernel: Kernel, pdev: platform_device) -> None:
        assert platform_get_resource(pdev, IORESOURCE_MEM, 0).start == BASE
        assert platform_get_resource(pdev, IORESOURCE_MEM, 2) is None
        assert platform_get_resource_byname(pdev, IORESOURCE_MEM, "regs").start == BASE + 0x1000
        assert (platform_get_irq(pdev, 0), platform_get_irq_byname(pdev, "done")) == (9, 10)
        assert platform_get_irq_optional(pdev, 2) == -errno.ENXIO
        assert platform_irq_count(pdev) == 2
        assert f"{BASE:08x}-{BASE + 0xFF:08x} : dev" in kernel.read_file("/proc/iomem")

    def test_in_short(self, kernel: Kernel) -> None:
        pdev = kernel.platform_device("short", [(BASE + 0x2000, 0x10), 11])
        assert platform_get_resource(pdev, IORESOURCE_MEM, 0).end == BASE + 0x200F
        assert platform_get_irq(pdev, 0) == 11

    def test_that_are_missing_are_logged(self, kernel: Kernel, pdev: platform_device, dmesg) -> None:
        assert platform_get_irq(pdev, 2) == -errno.ENXIO
        assert platform_get_irq_byname(pdev, "none") == -errno.ENXIO
        assert "platform dev: error -ENXIO: IRQ index 2 not found" in dmesg
        assert "platform dev: error -ENXIO: IRQ none not found" in dmesg

    def test_line_zero_is_none(self, kernel: Kernel) -> None:
        pdev = kernel.platform_device("zero", [DEFINE_RES_IRQ(0)])
        with kernel.expect("driver-warning") as found:
            assert platform_get_irq_optional(pdev, 0) == -errno.EINVAL
        assert found[0].headline == "0 is an invalid IRQ number"

    def test_are_mapped_and_go_with_the_driver(self, kernel: Kernel, pdev: platform_device) -> None:
        kernel.mmio(BASE, 0x2000)

        def probe(pdev):
            regs = devm_platform_ioremap_resource(pdev, 0)
            assert not IS_ERR(regs)
            writel(7, regs)
            named = devm_platform_ioremap_resource_byname(pdev, "regs")
            assert readl(named) == 0
            again, r = devm_platform_get_and_ioremap_resource(pdev, 0)
            assert PTR_ERR(again) == -errno.EBUSY
            assert r.start == BASE
            assert PTR_ERR(devm_platform_ioremap_resource(pdev, 5)) == -errno.EINVAL
            return 0

        drv = driver([], probe=probe, remove=None)
        for _ in range(2):
            platform_driver_register(drv)
            platform_driver_unregister(drv)
            drv = driver([], probe=probe, remove=None)

    def test_that_are_taken_refuse_the_device(self, kernel: Kernel, pdev: platform_device, dmesg) -> None:
        r = DEFINE_RES_MEM(BASE + 0x80, 0x100)
        refused = platform_device_register_simple("late", -1, [r], 1)
        assert PTR_ERR(refused) == -errno.EBUSY
        assert "failed to claim resource 0" in dmesg
        assert r.parent is None


class TestRegistration:
    def test_full(self, kernel: Kernel) -> None:
        info = platform_device_info(name="full", id=PLATFORM_DEVID_AUTO, dma_mask=0xFFFF, data="board")
        pdev = platform_device_register_full(info)
        assert pdev.dev.name == "full.0.auto"
        assert (pdev.dev.dma_mask, pdev.dev.coherent_dma_mask) == (0xFFFF, 0xFFFF)
        assert dev_get_platdata(pdev.dev) == "board"
        platform_device_unregister(pdev)
        assert pdev.id == PLATFORM_DEVID_AUTO

    def test_with_data(self, kernel: Kernel) -> None:
        pdev = platform_device_register_data(None, "data", 3, "board", 5)
        assert pdev.dev.name == "data.3"
        assert (pdev.dev.dma_mask, pdev.dev.coherent_dma_mask) == (0xFFFF_FFFF, 0xFFFF_FFFF)
        platform_device_unregister(pdev)
        platform_device_unregister(None)

    def test_step_by_step(self, kernel: Kernel) -> None:
        pdev = platform_device_alloc("steps", 1)
        assert platform_device_add_resources(pdev, [DEFINE_RES_IRQ(7)], 1) == 0
        assert platform_device_add(pdev) == 0
        assert platform_get_irq(pdev, 0) == 7
        platform_device_del(pdev)
        platform_device_put(pdev)
        assert to_platform_device(pdev.dev) is pdev

    def test_one_that_the_driver_defined(self, kernel: Kernel) -> None:
        pdev = platform_device(name="static", resource=[DEFINE_RES_IRQ(7)])
        pdev.dev.release = lambda dev: None
        assert platform_device_register(pdev) == 0
        platform_device_unregister(pdev)

    def test_without_memory(self, kernel: Kernel) -> None:
        kernel.faults.fail_nth(1)
        assert platform_device_alloc("none", 1) == NULL

    def test_a_name_twice(self, kernel: Kernel, dmesg) -> None:
        kernel.platform_device("dev")
        with kernel.expect("registration-twice") as found, pytest.raises(OSError, match="taken"):
            kernel.platform_device("dev")
        assert found[0].headline == "sysfs: cannot create duplicate filename '/devices/platform/dev'"
        assert "kobject_add_internal failed for dev with -EEXIST" in dmesg


FORGETFUL = """
from kmock.linux.platform_device import *
driver = platform_driver(probe=lambda pdev: 0, driver={"name": "dev"})
device = None
def init_module():
    global device
    device = platform_device_register_simple("made", -1, None, 0)
    return platform_driver_register(driver)
def cleanup_module():
    pass
"""
TIDY = """
from kmock.linux.module import MODULE_LICENSE
from kmock.linux.platform_device import module_platform_driver, platform_driver
MODULE_LICENSE("GPL")
seen = []
driver = platform_driver(probe=lambda pdev: seen.append(pdev) or 0, driver={"name": "dev"})
module_platform_driver(driver)
"""


class TestModules:
    def test_one_that_forgets_its_driver(self, kernel: Kernel, tmp_path: Path) -> None:
        path = tmp_path / "forgetful.py"
        path.write_text(FORGETFUL)
        with kernel.expect("registration-left", count=2) as found:
            kernel.rmmod(kernel.insmod(path))
        assert [r.hint for r in found] == [
            'call platform_device_unregister() for device "made" on this way out too',
            'call platform_driver_unregister() for driver "dev" on this way out too',
        ]

    def test_one_of_a_single_line(self, kernel: Kernel, tmp_path: Path) -> None:
        path = tmp_path / "tidy.py"
        path.write_text(TIDY)
        kernel.platform_device("dev")
        module = kernel.insmod(path)
        assert len(module.seen) == 1
        kernel.rmmod(module)
        assert not kernel.buses.drivers


class TestOwnBus:
    def test_devices_and_drivers_of_a_bus_of_the_drivers(self, kernel: Kernel) -> None:
        log: list[str] = []
        bus = bus_type(
            name="toy",
            match=lambda dev, drv: dev.name.startswith(drv.name),
            probe=lambda dev: log.append(f"probe {dev_driver_string(dev)} {dev.name}") or 0,
            remove=lambda dev: log.append(f"remove {dev.name}"),
        )
        drv = device_driver(name="a", bus=bus)
        assert driver_register(drv) == -errno.EINVAL
        assert bus_register(bus) == 0
        devs = []
        for name in ("a1", "b1"):
            dev = device()
            dev.bus = bus
            dev.release = lambda dev: None
            device_initialize(dev)
            dev_set_name(dev, "%s", name)
            assert device_add(dev) == 0
            devs.append(dev)
        assert driver_register(drv) == 0
        assert bus_rescan_devices(bus) == 0
        found = bus_find_device_by_name(bus, None, "b1")
        assert found is devs[1]
        put_device(found)
        assert bus_find_device_by_name(bus, None, "c1") is None
        assert bus_for_each_dev(bus, None, 5, lambda dev, data: data if dev is devs[1] else 0) == 5
        assert bus_for_each_dev(bus, devs[1], 5, lambda dev, data: data) == 0
        device_del(devs[0])
        assert not device_is_registered(devs[0])
        put_device(devs[0])
        device_unregister(devs[1])
        driver_unregister(drv)
        bus_unregister(bus)
        assert log == ["probe a a1", "remove a1"]

    def test_children_keep_their_parents(self, kernel: Kernel) -> None:
        released: list[str] = []
        parent, child = device(), device()
        for dev, name in ((parent, "parent"), (child, "child")):
            dev.init_name = name
            dev.release = lambda dev: released.append(dev.name)
        child.parent = parent
        assert device_register(parent) == 0
        assert device_register(child) == 0
        assert device_for_each_child(parent, None, lambda dev, data: 3) == 3
        device_unregister(parent)
        assert released == []
        device_unregister(child)
        assert released == ["parent", "child"]

    def test_a_device_needs_a_name(self, kernel: Kernel) -> None:
        dev = device()
        dev.release = lambda dev: None
        assert device_register(dev) == -errno.EINVAL
        put_device(dev)
