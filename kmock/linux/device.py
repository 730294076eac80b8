"""``<linux/device.h>``: devices, their classes and what they own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.drivers import kobject as _kobject
from kmock.drivers.core import device, device_dma_parameters
from kmock.drivers.devres import null_or_data as _data
from kmock.lang.format import vsprintf
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.err import ERR_PTR

if TYPE_CHECKING:
    from collections.abc import Callable

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


@api(since="2.5.45", undo="put_device")
def device_initialize(k: Kernel, dev: device) -> None:
    """Make a device ready for use by references; from now on ``put_device()`` frees it (``drivers/base/core.c``)."""
    k.devices.initialize(dev)


@api(since="2.5.45", undo="put_device")
def get_device(k: Kernel, dev: device | None) -> device | None:
    """One more reference to ``dev``; None for None."""
    if dev is not None:
        _kobject.get(k, dev.kobj)
    return dev


@api(since="2.5.45")
def put_device(k: Kernel, dev: device | None) -> None:
    """Give a reference back; with the last one the device's ``release()`` is called."""
    if dev is not None:
        _kobject.put(k, dev.kobj)


@api(since="2.6.26")
def dev_name(k: Kernel, dev: device) -> str:
    """The device's name."""
    return dev.name


@api(since="2.6.21", sleeps=Sleeps.GFP, undo="devres_free", fails=True)
def devres_alloc(k: Kernel, release: Callable[[device, Ptr], object], size: int, gfp: int) -> Ptr:
    """Return ``size`` zeroed bytes for :func:`devres_add`, or NULL; ``release(dev, data)`` will give the resource back."""
    return _data(k.devres.alloc(release, size, gfp, name=getattr(release, "__name__", "")))


@api(since="2.6.21")
def devres_free(k: Kernel, res: Ptr) -> None:
    """Free what :func:`devres_alloc` gave and no device has; NULL is nothing to do."""
    if res:
        k.devres.free(k.devres.at(res))


@api(since="2.6.21")
def devres_add(k: Kernel, dev: device, res: Ptr) -> None:
    """Let ``dev`` own the resource that ``res`` tells of."""
    k.devres.add(dev, k.devres.at(res))


@api(since="2.6.21", sleeps=Sleeps.ALWAYS)
def devres_release_all(k: Kernel, dev: device) -> int:
    """Release everything that ``dev`` owns, the youngest first; how many resources, or -ENODEV before initialisation."""
    return k.devres.release_all(dev)


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
    },
)
__all__ = [
    "class_create",
    "class_destroy",
    "dev_get_drvdata",
    "dev_name",
    "dev_set_drvdata",
    "device",
    "device_create",
    "device_destroy",
    "device_dma_parameters",
    "device_initialize",
    "devres_add",
    "devres_alloc",
    "devres_free",
    "devres_release_all",
    "get_device",
    "put_device",
]
