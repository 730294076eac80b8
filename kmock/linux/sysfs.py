"""``<linux/sysfs.h>``: attributes as files of ``/sys``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.drivers import attributes as _attributes
from kmock.drivers.attributes import attribute, attribute_group
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.drivers.kobject import kobject
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel

_EINVAL = 22


@api(since="5.10")
def sysfs_emit(k: Kernel, buf: Ptr, fmt: str, *args: Any) -> int:
    """Print into the page that a ``show()`` was given; how many bytes that took."""
    return _attributes.emit(k, buf, fmt, args)


@api(since="5.10")
def sysfs_emit_at(k: Kernel, buf: Ptr, at: int, fmt: str, *args: Any) -> int:
    """:func:`sysfs_emit` from byte ``at`` of the page on."""
    return _attributes.emit(k, buf, fmt, args, at)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, undo="sysfs_remove_file", fails=True)
def sysfs_create_file(k: Kernel, kobj: kobject, attr: attribute) -> int:
    """Add an attribute's file to the object's directory: 0, -EINVAL before it has one, or -EEXIST."""
    return _attributes.create_file(k, kobj.sd, kobj, attr)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS)
def sysfs_remove_file(k: Kernel, kobj: kobject, attr: attribute) -> None:
    """Remove it."""
    if kobj.sd is not None:
        k.sysfs.remove(kobj.sd, attr.name)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, undo="sysfs_remove_group", fails=True)
def sysfs_create_group(k: Kernel, kobj: kobject, grp: attribute_group) -> int:
    """Add a group of attributes: 0 or -errno."""
    return _attributes.create_group(k, kobj.sd, kobj.holder or kobj, grp) if kobj.sd is not None else -_EINVAL


@api(since="2.6.0", sleeps=Sleeps.ALWAYS)
def sysfs_remove_group(k: Kernel, kobj: kobject, grp: attribute_group) -> None:
    """Remove it."""
    if kobj.sd is not None:
        _attributes.remove_group(k, kobj.sd, grp)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, undo="sysfs_remove_link", fails=True)
def sysfs_create_link(k: Kernel, kobj: kobject, target: kobject, name: str) -> int:
    """Add a link to another object's directory: 0 or -errno."""
    if kobj.sd is None or target.sd is None:
        return -_EINVAL
    return k.sysfs.create_link(kobj.sd, target.sd, name)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS)
def sysfs_remove_link(k: Kernel, kobj: kobject, name: str) -> None:
    """Remove it."""
    if kobj.sd is not None:
        k.sysfs.remove(kobj.sd, name)


__getattr__ = header_getattr(__name__)
__all__ = [
    "attribute",
    "attribute_group",
    "sysfs_create_file",
    "sysfs_create_group",
    "sysfs_create_link",
    "sysfs_emit",
    "sysfs_emit_at",
    "sysfs_remove_file",
    "sysfs_remove_group",
    "sysfs_remove_link",
]
