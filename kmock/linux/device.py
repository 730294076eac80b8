"""``<linux/device.h>``: device classes, and devices for the sake of ``/dev``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.lang.format import vsprintf
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.err import ERR_PTR

if TYPE_CHECKING:
    from kmock.drivers.classes import ClassDevice, DeviceClass
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel


@api(since="2.6.13", sleeps=Sleeps.ALWAYS, undo="class_destroy", fails=True)
def class_create(k: Kernel, *args: Any) -> DeviceClass | Ptr:
    """``class_create(owner, name)``, since 6.4 ``class_create(name)``: a class, or an ERR_PTR."""
    owner, name = args if len(args) == 2 else (None, *args)
    found = k.classes.create(name, owner)
    return ERR_PTR(found) if isinstance(found, int) else found


@api(since="2.6.13", sleeps=Sleeps.ALWAYS)
def class_destroy(k: Kernel, cls: DeviceClass) -> None:
    """Remove a class; its devices go first."""
    k.classes.destroy(cls)


@api(since="2.6.18", sleeps=Sleeps.ALWAYS, undo="device_destroy", fails=True)
def device_create(
    k: Kernel, cls: DeviceClass, parent: Any, devt: int, drvdata: Any, fmt: str, *args: Any
) -> ClassDevice | Ptr:
    """Make a device, and its node in ``/dev`` under the name that ``fmt`` gives; an ERR_PTR where that fails."""
    found = k.classes.create_device(cls, parent, devt, drvdata, vsprintf(k, fmt, args))
    return ERR_PTR(found) if isinstance(found, int) else found


@api(since="2.6.18", sleeps=Sleeps.ALWAYS)
def device_destroy(k: Kernel, cls: DeviceClass, devt: int) -> None:
    """Remove the device of that number, and its node."""
    k.classes.destroy_device(cls, devt)


@api(since="2.6.0")
def dev_get_drvdata(k: Kernel, dev: Any) -> Any:
    """What the driver attached to the device."""
    return dev.driver_data


@api(since="2.6.0")
def dev_set_drvdata(k: Kernel, dev: Any, data: Any) -> None:
    """Attach something of the driver's to the device."""
    dev.driver_data = data


__getattr__ = header_getattr(
    __name__,
    not_built={
        "device",
        "device_add",
        "device_del",
        "device_register",
        "device_unregister",
        "devm_add_action",
        "devm_add_action_or_reset",
        "devm_free_pages",
        "devm_get_free_pages",
        "devm_kasprintf",
        "devm_kcalloc",
        "devm_kfree",
        "devm_kmalloc",
        "devm_kmalloc_array",
        "devm_kmemdup",
        "devm_kstrdup",
        "devm_kzalloc",
        "devm_release_action",
        "devm_remove_action",
        "get_device",
        "put_device",
    },
)
__all__ = [
    "class_create",
    "class_destroy",
    "dev_get_drvdata",
    "dev_set_drvdata",
    "device_create",
    "device_destroy",
]
