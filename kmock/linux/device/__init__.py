"""``<linux/device.h>``: devices, and with them drivers, buses, classes and what devices own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.drivers import attributes as _attributes
from kmock.drivers import dd as _dd
from kmock.drivers.attributes import attribute_group, device_attribute, in_scope
from kmock.drivers.core import device, device_dma_parameters, device_type, driver_string
from kmock.lang.format import vsprintf
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.dev_printk import (
    dev_alert,
    dev_crit,
    dev_dbg,
    dev_emerg,
    dev_err,
    dev_err_once,
    dev_err_probe,
    dev_err_ratelimited,
    dev_info,
    dev_info_once,
    dev_info_ratelimited,
    dev_notice,
    dev_WARN,
    dev_warn,
    dev_warn_once,
    dev_warn_ratelimited,
)
from kmock.linux.device.bus import (
    BUS_ATTR_RO,
    bus_attribute,
    bus_find_device_by_name,
    bus_for_each_dev,
    bus_register,
    bus_rescan_devices,
    bus_type,
    bus_unregister,
)
from kmock.linux.device.class_ import (
    CLASS_ATTR_RO,
    class_,
    class_attribute,
    class_create,
    class_destroy,
    class_register,
    class_unregister,
    device_create,
    device_create_with_groups,
    device_destroy,
)
from kmock.linux.device.devres import (
    devm_add_action,
    devm_add_action_or_reset,
    devm_alloc_percpu,
    devm_free_pages,
    devm_free_percpu,
    devm_get_free_pages,
    devm_kasprintf,
    devm_kcalloc,
    devm_kfree,
    devm_kmalloc,
    devm_kmalloc_array,
    devm_kmemdup,
    devm_krealloc,
    devm_kstrdup,
    devm_kstrdup_const,
    devm_kzalloc,
    devm_release_action,
    devm_remove_action,
    devres_add,
    devres_alloc,
    devres_alloc_node,
    devres_close_group,
    devres_destroy,
    devres_find,
    devres_for_each_res,
    devres_free,
    devres_get,
    devres_open_group,
    devres_release,
    devres_release_all,
    devres_release_group,
    devres_remove,
    devres_remove_group,
)
from kmock.linux.device.driver import (
    DRIVER_ATTR_RO,
    DRIVER_ATTR_RW,
    DRIVER_ATTR_WO,
    device_driver,
    driver_attribute,
    driver_register,
    driver_unregister,
    module_driver,
    wait_for_device_probe,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel


# -- life -------------------------------------------------------------------------------------------


@api(since="2.5.45", undo="put_device")
def device_initialize(k: Kernel, dev: device) -> None:
    """Make a device ready for use by references; from now on ``put_device()`` frees it (``drivers/base/core.c``)."""
    k.devices.initialize(dev)


@api(since="2.5.45", sleeps=Sleeps.ALWAYS, undo="device_del", fails=True)
def device_add(k: Kernel, dev: device) -> int:
    """Give an initialised device its place in ``/sys``, and its bus the chance to find a driver: 0 or -errno."""
    return k.devices.add(dev)


@api(since="2.5.1", sleeps=Sleeps.ALWAYS, undo="device_unregister", fails=True)
def device_register(k: Kernel, dev: device) -> int:
    """:func:`device_initialize` and :func:`device_add`; even where it fails, ``put_device()`` frees the device."""
    return k.devices.register(dev)


@api(since="2.5.45", sleeps=Sleeps.ALWAYS)
def device_del(k: Kernel, dev: device) -> None:
    """Unbind the device and take it out of ``/sys``; references to it may remain."""
    k.devices.delete(dev)


@api(since="2.5.1", sleeps=Sleeps.ALWAYS)
def device_unregister(k: Kernel, dev: device) -> None:
    """:func:`device_del` and :func:`put_device`."""
    k.devices.unregister(dev)


@api(since="2.5.1", undo="put_device")
def get_device(k: Kernel, dev: device | None) -> device | None:
    """One more reference to ``dev``; None for None."""
    return k.devices.get(dev) if dev is not None else None


@api(since="2.5.1")
def put_device(k: Kernel, dev: device | None) -> None:
    """Give a reference back; with the last one the device's ``release()`` is called."""
    if dev is not None:
        k.devices.put(dev)


@api(since="2.6.26", fails=True)
def dev_set_name(k: Kernel, dev: device, fmt: str, *args: Any) -> int:
    """Name a device before it is added: 0."""
    dev.kobj.name = vsprintf(k, fmt, args).replace("/", "!")
    return 0


@api(since="2.6.26")
def dev_name(k: Kernel, dev: device) -> str:
    """The device's name."""
    return dev.name


@api(since="2.6.9")
def dev_driver_string(k: Kernel, dev: device) -> str:
    """The name of the device's driver, else that of its bus or class."""
    return driver_string(dev)


@api(since="2.6.12")
def device_is_registered(k: Kernel, dev: device) -> bool:
    """Whether it is in ``/sys``."""
    return dev.kobj.sd is not None


@api(since="2.6.0")
def dev_get_drvdata(k: Kernel, dev: device) -> Any:
    """What the driver attached to the device."""
    return dev.driver_data


@api(since="2.6.0")
def dev_set_drvdata(k: Kernel, dev: device, data: Any) -> None:
    """Attach something of the driver's to the device; forgotten when the driver goes."""
    dev.driver_data = data


@api(since="3.6")
def dev_get_platdata(k: Kernel, dev: device) -> Any:
    """What the board's code tells the driver."""
    return dev.platform_data


@api(since="2.6.19")
def dev_to_node(k: Kernel, dev: device) -> int:
    """The node that the device is near to, NUMA_NO_NODE where that is not known."""
    return dev.numa_node


@api(since="2.6.19")
def set_dev_node(k: Kernel, dev: device, node: int) -> None:
    """Say which node the device is near to."""
    dev.numa_node = node


@api(since="2.6.15", sleeps=Sleeps.ALWAYS)
def device_for_each_child(k: Kernel, parent: device, data: Any, fn: Callable[[device, Any], int]) -> int:
    """Call ``fn(dev, data)`` for each child until it returns something; return that, or 0."""
    for dev in [d for d in k.devices.added if d.parent is parent]:
        if err := fn(dev, data):
            return err
    return 0


# -- binding ----------------------------------------------------------------------------------------


@api(since="2.6.0", sleeps=Sleeps.ALWAYS)
def device_attach(k: Kernel, dev: device) -> int:
    """Look for a driver: 1 if the device is bound now, 0 if there is none, or -errno."""
    return _dd.attach(k, dev)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS)
def device_release_driver(k: Kernel, dev: device) -> None:
    """Take the device's driver from it: its remove is called, then everything that the device owns is released."""
    _dd.release_driver(k, dev)


@api(since="5.14", sleeps=Sleeps.ALWAYS, fails=True)
def device_driver_attach(k: Kernel, drv: device_driver, dev: device) -> int:
    """Bind exactly these two: 0, -EBUSY, -EAGAIN for a deferred probe, or the probe's errno."""
    return _dd.device_driver_attach(k, drv, dev)


# -- attributes -------------------------------------------------------------------------------------


def DEVICE_ATTR(name: str, mode: int, show: Any, store: Any) -> device_attribute:
    """Define an attribute with ``show(dev, attr, buf)`` and ``store(dev, attr, buf, count)``."""
    return device_attribute(name, mode, show, store)


def DEVICE_ATTR_RO(name: str) -> device_attribute:
    """Define an attribute that the caller's ``<name>_show`` shows."""
    return device_attribute(name, 0o444, in_scope(f"{name}_show"))


def DEVICE_ATTR_WO(name: str) -> device_attribute:
    """Define an attribute that the caller's ``<name>_store`` takes."""
    return device_attribute(name, 0o200, None, in_scope(f"{name}_store"))


def DEVICE_ATTR_RW(name: str) -> device_attribute:
    """Define an attribute with both functions of the caller's."""
    return device_attribute(name, 0o644, in_scope(f"{name}_show"), in_scope(f"{name}_store"))


def ATTRIBUTE_GROUPS(name: str) -> list[attribute_group]:
    """The groups ``<name>_groups``: one of the caller's ``<name>_attrs``."""
    return [attribute_group(attrs=in_scope(f"{name}_attrs"))]


@api(since="2.5.45", sleeps=Sleeps.ALWAYS, undo="device_remove_file", fails=True)
def device_create_file(k: Kernel, dev: device, attr: device_attribute) -> int:
    """Add an attribute's file to the device's directory: 0, -EINVAL before it has one, or -EEXIST."""
    return _attributes.create_file(k, dev.kobj.sd, dev, attr)


@api(since="2.5.45", sleeps=Sleeps.ALWAYS)
def device_remove_file(k: Kernel, dev: device, attr: device_attribute) -> None:
    """Remove it."""
    if dev.kobj.sd is not None:
        k.sysfs.remove(dev.kobj.sd, attr.name)


@api(since="4.14", sleeps=Sleeps.ALWAYS, undo="device_remove_group", fails=True)
def device_add_group(k: Kernel, dev: device, grp: attribute_group) -> int:
    """Add a group of attributes: 0 or -errno."""
    return _attributes.create_groups(k, dev.kobj.sd, dev, [grp]) if dev.kobj.sd is not None else -22


@api(since="4.14", sleeps=Sleeps.ALWAYS)
def device_remove_group(k: Kernel, dev: device, grp: attribute_group) -> None:
    """Remove it."""
    if dev.kobj.sd is not None:
        _attributes.remove_group(k, dev.kobj.sd, grp)


@api(since="4.13", sleeps=Sleeps.ALWAYS, fails=True)
def devm_device_add_group(k: Kernel, dev: device, grp: attribute_group) -> int:
    """:func:`device_add_group` for as long as the driver is there."""
    return k.managed.add_group(dev, grp)


__getattr__ = header_getattr(__name__)
__all__ = [
    "ATTRIBUTE_GROUPS",
    "BUS_ATTR_RO",
    "CLASS_ATTR_RO",
    "DEVICE_ATTR",
    "DEVICE_ATTR_RO",
    "DEVICE_ATTR_RW",
    "DEVICE_ATTR_WO",
    "DRIVER_ATTR_RO",
    "DRIVER_ATTR_RW",
    "DRIVER_ATTR_WO",
    "attribute_group",
    "bus_attribute",
    "bus_find_device_by_name",
    "bus_for_each_dev",
    "bus_register",
    "bus_rescan_devices",
    "bus_type",
    "bus_unregister",
    "class_",
    "class_attribute",
    "class_create",
    "class_destroy",
    "class_register",
    "class_unregister",
    "dev_WARN",
    "dev_alert",
    "dev_crit",
    "dev_dbg",
    "dev_driver_string",
    "dev_emerg",
    "dev_err",
    "dev_err_once",
    "dev_err_probe",
    "dev_err_ratelimited",
    "dev_get_drvdata",
    "dev_get_platdata",
    "dev_info",
    "dev_info_once",
    "dev_info_ratelimited",
    "dev_name",
    "dev_notice",
    "dev_set_drvdata",
    "dev_set_name",
    "dev_to_node",
    "dev_warn",
    "dev_warn_once",
    "dev_warn_ratelimited",
    "device",
    "device_add",
    "device_add_group",
    "device_attach",
    "device_attribute",
    "device_create",
    "device_create_file",
    "device_create_with_groups",
    "device_del",
    "device_destroy",
    "device_dma_parameters",
    "device_driver",
    "device_driver_attach",
    "device_for_each_child",
    "device_initialize",
    "device_is_registered",
    "device_register",
    "device_release_driver",
    "device_remove_file",
    "device_remove_group",
    "device_type",
    "device_unregister",
    "devm_add_action",
    "devm_add_action_or_reset",
    "devm_alloc_percpu",
    "devm_device_add_group",
    "devm_free_pages",
    "devm_free_percpu",
    "devm_get_free_pages",
    "devm_kasprintf",
    "devm_kcalloc",
    "devm_kfree",
    "devm_kmalloc",
    "devm_kmalloc_array",
    "devm_kmemdup",
    "devm_krealloc",
    "devm_kstrdup",
    "devm_kstrdup_const",
    "devm_kzalloc",
    "devm_release_action",
    "devm_remove_action",
    "devres_add",
    "devres_alloc",
    "devres_alloc_node",
    "devres_close_group",
    "devres_destroy",
    "devres_find",
    "devres_for_each_res",
    "devres_free",
    "devres_get",
    "devres_open_group",
    "devres_release",
    "devres_release_all",
    "devres_release_group",
    "devres_remove",
    "devres_remove_group",
    "driver_attribute",
    "driver_register",
    "driver_unregister",
    "get_device",
    "module_driver",
    "put_device",
    "set_dev_node",
    "wait_for_device_probe",
]
