"""``<linux/device/class.h>``: device classes. As ``class`` is a word of Python's, the module has an underscore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.drivers.attributes import class_attribute, in_scope
from kmock.drivers.classes import device_class as class_
from kmock.lang.format import vsprintf
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.err import ERR_PTR

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel


@api(since="2.6.13", sleeps=Sleeps.ALWAYS, undo="class_destroy", fails=True)
def class_create(k: Kernel, *args: Any) -> class_ | Ptr:
    """``class_create(owner, name)``, since 6.4 ``class_create(name)``: a class, or an ERR_PTR."""
    owner, name = args if len(args) == 2 else (None, *args)
    found = k.classes.create(name, owner)
    return ERR_PTR(found) if isinstance(found, int) else found


@api(since="2.6.13", sleeps=Sleeps.ALWAYS)
def class_destroy(k: Kernel, cls: class_) -> None:
    """Remove a class; its devices go first."""
    if isinstance(cls, class_):
        k.classes.unregister(cls)


@api(since="2.5.45", sleeps=Sleeps.ALWAYS, undo="class_unregister", fails=True)
def class_register(k: Kernel, cls: class_) -> int:
    """Register a class that the driver defined: 0 or -errno."""
    return k.classes.register(cls)


@api(since="2.5.45", sleeps=Sleeps.ALWAYS)
def class_unregister(k: Kernel, cls: class_) -> None:
    """Take :func:`class_register` back."""
    k.classes.unregister(cls)


@api(since="2.6.18", sleeps=Sleeps.ALWAYS, undo="device_destroy", fails=True)
def device_create(k: Kernel, cls: class_, parent: Any, devt: int, drvdata: Any, fmt: str, *args: Any) -> device | Ptr:
    """Make a device, and its node in ``/dev`` under the name that ``fmt`` gives; an ERR_PTR where that fails."""
    found = k.classes.create_device(cls, parent, devt, drvdata, vsprintf(k, fmt, args))
    return ERR_PTR(found) if isinstance(found, int) else found


@api(since="3.12", sleeps=Sleeps.ALWAYS, undo="device_destroy", fails=True)
def device_create_with_groups(
    k: Kernel, cls: class_, parent: Any, devt: int, drvdata: Any, groups: Any, fmt: str, *args: Any
) -> device | Ptr:
    """:func:`device_create` with attributes, which are there before user space hears of the device."""
    found = k.classes.create_device(cls, parent, devt, drvdata, vsprintf(k, fmt, args), groups)
    return ERR_PTR(found) if isinstance(found, int) else found


@api(since="2.6.18", sleeps=Sleeps.ALWAYS)
def device_destroy(k: Kernel, cls: class_, devt: int) -> None:
    """Remove the device of that number, and its node."""
    k.classes.destroy_device(cls, devt)


def CLASS_ATTR_RO(name: str) -> class_attribute:
    """Define an attribute of a class, shown by the caller's ``<name>_show(class, attr, buf)``."""
    return class_attribute(name, 0o444, in_scope(f"{name}_show"))


__getattr__ = header_getattr(__name__)
__all__ = [
    "CLASS_ATTR_RO",
    "class_",
    "class_attribute",
    "class_create",
    "class_destroy",
    "class_register",
    "class_unregister",
    "device_create",
    "device_create_with_groups",
    "device_destroy",
]
