"""``<linux/platform_device.h>``: devices that no bus can find, and their drivers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kmock.drivers import core as _core
from kmock.drivers.dd import EPROBE_DEFER
from kmock.drivers.driver import device_driver
from kmock.drivers.platform import (
    IORESOURCE_IRQ,
    PLATFORM_DEVID_AUTO,
    PLATFORM_DEVID_NONE,
    platform_device,
    platform_device_id,
    platform_device_info,
    platform_driver,
)
from kmock.lang.ptr import NULL, Ptr
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.device import (
    dev_get_drvdata,
    dev_get_platdata,
    dev_set_drvdata,
    device,
    get_device,
    put_device,
)
from kmock.linux.device.driver import make_module as _make_module
from kmock.linux.err import ERR_PTR, IS_ERR
from kmock.linux.ioport import IORESOURCE_IO, IORESOURCE_MEM, resource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmock.machine import Kernel


# -- devices ----------------------------------------------------------------------------------------


@api(since="2.6.9", fails=True, undo="platform_device_put")
def platform_device_alloc(k: Kernel, name: str, id: int) -> platform_device | Ptr:
    """A device with one reference, to be filled in and added; NULL without memory."""
    return k.platform.alloc(name, id) or NULL


@api(since="2.6.9")
def platform_device_put(k: Kernel, pdev: platform_device | None) -> None:
    """Give a reference back."""
    if isinstance(pdev, platform_device):
        k.devices.put(pdev.dev)


@api(since="2.6.15", sleeps=Sleeps.ALWAYS, undo="platform_device_del", fails=True)
def platform_device_add(k: Kernel, pdev: platform_device) -> int:
    """Name the device, claim its resources and look for a driver: 0 or -errno."""
    return k.platform.add(pdev)


@api(since="2.6.15", sleeps=Sleeps.ALWAYS)
def platform_device_del(k: Kernel, pdev: platform_device) -> None:
    """Unbind and remove a device; its last reference frees it."""
    k.platform.delete(pdev)


@api(since="2.5.45", sleeps=Sleeps.ALWAYS, undo="platform_device_unregister", fails=True)
def platform_device_register(k: Kernel, pdev: platform_device) -> int:
    """Register a device that the driver defined: 0 or -errno, and then ``platform_device_put()`` frees it."""
    return k.platform.register(pdev)


@api(since="2.5.45", sleeps=Sleeps.ALWAYS)
def platform_device_unregister(k: Kernel, pdev: platform_device | None) -> None:
    """:func:`platform_device_del` and :func:`platform_device_put`; nothing for NULL or an ERR_PTR."""
    if isinstance(pdev, platform_device):
        k.platform.unregister(pdev)


@api(since="3.1", sleeps=Sleeps.ALWAYS, undo="platform_device_unregister", fails=True)
def platform_device_register_full(k: Kernel, pdevinfo: platform_device_info) -> platform_device | Ptr:
    """Make and register a device as ``pdevinfo`` says; an ERR_PTR where that fails."""
    found = k.platform.register_full(pdevinfo)
    return ERR_PTR(found) if isinstance(found, int) else found


@api(since="2.6.9", sleeps=Sleeps.ALWAYS, undo="platform_device_unregister", fails=True)
def platform_device_register_simple(
    k: Kernel, name: str, id: int, res: Sequence[resource] | None, num: int
) -> platform_device | Ptr:
    """Make and register a device with these resources; an ERR_PTR where that fails."""
    info = platform_device_info(name=name, id=id, res=list(res or ())[:num])
    found = k.platform.register_full(info)
    return ERR_PTR(found) if isinstance(found, int) else found


@api(since="3.1", sleeps=Sleeps.ALWAYS, undo="platform_device_unregister", fails=True)
def platform_device_register_data(
    k: Kernel, parent: device | None, name: str, id: int, data: Any, size: int
) -> platform_device | Ptr:
    """Make and register a device with platform data; an ERR_PTR where that fails."""
    info = platform_device_info(name=name, id=id, parent=parent, data=data, size_data=size)
    found = k.platform.register_full(info)
    return ERR_PTR(found) if isinstance(found, int) else found


@api(since="2.6.15", fails=True)
def platform_device_add_resources(k: Kernel, pdev: platform_device, res: Sequence[resource], num: int) -> int:
    """Give a device copies of these resources before it is added: 0."""
    pdev.resource = [resource(r.start, r.end, r.name, r.flags, r.desc) for r in list(res)[:num]]
    pdev.num_resources = len(pdev.resource)
    return 0


def to_platform_device(dev: device) -> platform_device:
    """The platform device that ``dev`` is part of."""
    found: platform_device = dev.outer
    return found


# -- resources --------------------------------------------------------------------------------------


@api(since="2.5.62")
def platform_get_resource(k: Kernel, pdev: platform_device, type: int, num: int) -> resource | None:
    """The ``num``-th resource of a type, None if there is none."""
    return k.platform.resource(pdev, type, num)


@api(since="2.6.15")
def platform_get_resource_byname(k: Kernel, pdev: platform_device, type: int, name: str) -> resource | None:
    """The resource of that type and name, None if there is none."""
    return k.platform.resource(pdev, type, 0, name)


@api(since="2.5.62", fails=True)
def platform_get_irq(k: Kernel, pdev: platform_device, num: int) -> int:
    """The ``num``-th interrupt line; -ENXIO if there is none, which is logged."""
    found = k.platform.irq(pdev, num)
    if found < 0 and found != -EPROBE_DEFER:
        _core.printk(k, pdev.dev, f"error {_errno(found)}: IRQ index {num} not found")
    return found


@api(since="5.4", fails=True)
def platform_get_irq_optional(k: Kernel, pdev: platform_device, num: int) -> int:
    """:func:`platform_get_irq` that says nothing."""
    return k.platform.irq(pdev, num)


@api(since="2.6.15", fails=True)
def platform_get_irq_byname(k: Kernel, pdev: platform_device, name: str) -> int:
    """The interrupt line of that name; -ENXIO if there is none, which is logged."""
    found = k.platform.irq(pdev, 0, name)
    if found < 0:
        _core.printk(k, pdev.dev, f"error {_errno(found)}: IRQ {name} not found")
    return found


@api(since="4.19")
def platform_irq_count(k: Kernel, pdev: platform_device) -> int:
    """How many interrupt lines the device has."""
    return sum(r.flags & 0x1F00 == IORESOURCE_IRQ for r in pdev.resource[: pdev.num_resources])


@api(since="5.1", sleeps=Sleeps.ALWAYS, fails=True)
def devm_platform_ioremap_resource(k: Kernel, pdev: platform_device, index: int) -> Ptr:
    """Claim and map the device's ``index``-th window for as long as the driver is there; an ERR_PTR where that fails."""
    return _mapped(k, pdev, k.platform.resource(pdev, IORESOURCE_MEM, index))


@api(since="5.7", sleeps=Sleeps.ALWAYS, fails=True)
def devm_platform_ioremap_resource_byname(k: Kernel, pdev: platform_device, name: str) -> Ptr:
    """The same for a window by its name."""
    return _mapped(k, pdev, k.platform.resource(pdev, IORESOURCE_MEM, 0, name))


@api(since="5.7", sleeps=Sleeps.ALWAYS, fails=True)
def devm_platform_get_and_ioremap_resource(k: Kernel, pdev: platform_device, index: int) -> tuple[Ptr, resource | None]:
    """:func:`devm_platform_ioremap_resource`, and the resource."""
    r = k.platform.resource(pdev, IORESOURCE_MEM, index)
    return _mapped(k, pdev, r), r


def _mapped(k: Kernel, pdev: platform_device, r: resource | None) -> Ptr:
    found = k.managed.ioremap_resource(pdev.dev, r)
    return found if isinstance(found, Ptr) else ERR_PTR(found)


def _errno(err: int) -> str:
    import errno  # noqa: PLC0415 -- only for a message

    return f"-{errno.errorcode.get(-err, -err)}"


# -- drivers ----------------------------------------------------------------------------------------


@api(since="2.6.15", sleeps=Sleeps.ALWAYS, undo="platform_driver_unregister", fails=True)
def platform_driver_register(k: Kernel, drv: platform_driver) -> int:
    """Register a driver, and probe the devices that are there: 0 or -errno."""
    return k.platform.register_driver(drv)


@api(since="2.6.15", sleeps=Sleeps.ALWAYS)
def platform_driver_unregister(k: Kernel, drv: platform_driver) -> None:
    """Take the driver from its devices, and off the bus."""
    k.platform.unregister_driver(drv)


@api(since="2.6.16", sleeps=Sleeps.ALWAYS, undo="platform_driver_unregister", fails=True)
def platform_driver_probe(k: Kernel, drv: platform_driver, probe: Any) -> int:
    """Register a driver for the devices that are there now: 0, or -ENODEV where it took none."""
    return k.platform.probe_once(drv, probe)


def module_platform_driver(drv: platform_driver) -> None:
    """Give the calling module an init that registers ``drv`` and an exit that unregisters it."""
    _make_module(sys._getframe(1).f_globals, drv, platform_driver_register, platform_driver_unregister)


@api(since="2.6.15")
def platform_get_drvdata(k: Kernel, pdev: platform_device) -> Any:
    """What the driver attached to the device."""
    return pdev.dev.driver_data


@api(since="2.6.15")
def platform_set_drvdata(k: Kernel, pdev: platform_device, data: Any) -> None:
    """Attach something of the driver's to the device."""
    pdev.dev.driver_data = data


@api(since="2.6.36")
def platform_get_device_id(k: Kernel, pdev: platform_device) -> platform_device_id | None:
    """The entry of the driver's table that the device matched."""
    found: platform_device_id | None = pdev.id_entry
    return found


__getattr__ = header_getattr(__name__)
__all__ = [
    "EPROBE_DEFER",
    "ERR_PTR",
    "IORESOURCE_IO",
    "IORESOURCE_IRQ",
    "IORESOURCE_MEM",
    "IS_ERR",
    "PLATFORM_DEVID_AUTO",
    "PLATFORM_DEVID_NONE",
    "dev_get_drvdata",
    "dev_get_platdata",
    "dev_set_drvdata",
    "device",
    "device_driver",
    "devm_platform_get_and_ioremap_resource",
    "devm_platform_ioremap_resource",
    "devm_platform_ioremap_resource_byname",
    "get_device",
    "module_platform_driver",
    "platform_device",
    "platform_device_add",
    "platform_device_add_resources",
    "platform_device_alloc",
    "platform_device_del",
    "platform_device_id",
    "platform_device_info",
    "platform_device_put",
    "platform_device_register",
    "platform_device_register_data",
    "platform_device_register_full",
    "platform_device_register_simple",
    "platform_device_unregister",
    "platform_driver",
    "platform_driver_probe",
    "platform_driver_register",
    "platform_driver_unregister",
    "platform_get_device_id",
    "platform_get_drvdata",
    "platform_get_irq",
    "platform_get_irq_byname",
    "platform_get_irq_optional",
    "platform_get_resource",
    "platform_get_resource_byname",
    "platform_irq_count",
    "platform_set_drvdata",
    "put_device",
    "resource",
    "to_platform_device",
]
