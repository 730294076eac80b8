"""``<linux/kobject.h>``: counted objects with a name and a place in ``/sys``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.drivers import kobject as _kobject
from kmock.drivers.attributes import in_scope, kobj_attribute
from kmock.drivers.kobject import kobj_type, kobject, kset
from kmock.lang.format import vsprintf
from kmock.lang.ptr import NULL, Ptr
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.kref import kref
from kmock.linux.sysfs import (
    attribute,
    attribute_group,
    sysfs_create_file,
    sysfs_create_group,
    sysfs_emit,
    sysfs_emit_at,
    sysfs_remove_file,
    sysfs_remove_group,
)

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.5.45", undo="kobject_put")
def kobject_init(k: Kernel, kobj: kobject, ktype: kobj_type) -> None:
    """The first reference; from now on ``kobject_put()`` frees the object (``lib/kobject.c``)."""
    _kobject.init(k, kobj, ktype)


@api(since="2.5.45", sleeps=Sleeps.ALWAYS, undo="kobject_del", fails=True)
def kobject_add(k: Kernel, kobj: kobject, parent: kobject | None, fmt: str, *args: Any) -> int:
    """Name the object and give it a directory below ``parent``: 0 or -errno."""
    return _kobject.add(k, kobj, parent, vsprintf(k, fmt, args))


@api(since="2.6.25", sleeps=Sleeps.ALWAYS, undo="kobject_put", fails=True)
def kobject_init_and_add(
    k: Kernel, kobj: kobject, ktype: kobj_type, parent: kobject | None, fmt: str, *args: Any
) -> int:
    """:func:`kobject_init` and :func:`kobject_add`: even where it fails, ``kobject_put()`` frees the object."""
    _kobject.init(k, kobj, ktype)
    return _kobject.add(k, kobj, parent, vsprintf(k, fmt, args))


@api(since="2.5.45", sleeps=Sleeps.ALWAYS)
def kobject_del(k: Kernel, kobj: kobject | None) -> None:
    """Take the object out of ``/sys``; references to it may remain."""
    if kobj is not None:
        _kobject.remove(k, kobj)


@api(since="2.5.45", undo="kobject_put")
def kobject_get(k: Kernel, kobj: kobject | None) -> kobject | None:
    """One more reference; None for None."""
    return _kobject.get(k, kobj) if kobj is not None else None


@api(since="2.5.45")
def kobject_put(k: Kernel, kobj: kobject | None) -> None:
    """Give a reference back; with the last one the type's ``release(kobj)`` is called."""
    if kobj is not None:
        _kobject.put(k, kobj)


@api(since="2.6.24", sleeps=Sleeps.ALWAYS, undo="kobject_put", fails=True)
def kobject_create_and_add(k: Kernel, name: str, parent: kobject | None) -> kobject | Ptr:
    """A directory of ``/sys`` and nothing more; NULL where that can't be."""
    return _kobject.create_and_add(k, name, parent) or NULL


@api(since="2.6.0")
def kobject_name(k: Kernel, kobj: kobject) -> str:
    """The object's name."""
    return kobj.name


@api(since="2.6.25", fails=True)
def kobject_set_name(k: Kernel, kobj: kobject, fmt: str, *args: Any) -> int:
    """Name an object before it is added: 0."""
    kobj.name = vsprintf(k, fmt, args).replace("/", "!")
    return 0


@api(since="2.6.25", sleeps=Sleeps.ALWAYS, undo="kset_unregister", fails=True)
def kset_create_and_add(k: Kernel, name: str, uevent_ops: Any, parent_kobj: kobject | None) -> kset | Ptr:
    """A set of objects with a directory of its own; NULL where that can't be."""
    return _kobject.create_kset(k, name, parent_kobj) or NULL


@api(since="2.6.0", sleeps=Sleeps.ALWAYS)
def kset_unregister(k: Kernel, kset: kset | None) -> None:
    """Remove a set."""
    if kset is not None:
        _kobject.remove(k, kset.kobj)
        _kobject.put(k, kset.kobj)


@api(since="2.6.0", undo="kobject_put")
def kset_find_obj(k: Kernel, kset: kset, name: str) -> kobject | None:
    """The member of that name, with a reference; None if there is none."""
    found = next((kobj for kobj in kset.list if kobj.name == name), None)
    return _kobject.get(k, found) if found is not None else None


@api(since="2.6.17", sleeps=Sleeps.ALWAYS, fails=True)
def kobject_uevent(k: Kernel, kobj: kobject, action: int) -> int:
    """Tell user space of the object: 0; nobody listens here."""
    return 0


def __ATTR(name: str, mode: int, show: Any, store: Any) -> kobj_attribute:
    """Define an attribute of a kobject: ``show(kobj, attr, buf)``, ``store(kobj, attr, buf, count)``."""
    return kobj_attribute(name, mode, show, store)


def __ATTR_RO(name: str) -> kobj_attribute:
    """Define an attribute that the caller's ``<name>_show`` shows."""
    return kobj_attribute(name, 0o444, in_scope(f"{name}_show"))


def __ATTR_RW(name: str) -> kobj_attribute:
    """Define an attribute with both functions of the caller's."""
    return kobj_attribute(name, 0o644, in_scope(f"{name}_show"), in_scope(f"{name}_store"))


KOBJ_ADD, KOBJ_REMOVE, KOBJ_CHANGE, KOBJ_MOVE, KOBJ_ONLINE, KOBJ_OFFLINE, KOBJ_BIND, KOBJ_UNBIND = range(8)

__getattr__ = header_getattr(__name__)
__all__ = [
    "KOBJ_ADD",
    "KOBJ_BIND",
    "KOBJ_CHANGE",
    "KOBJ_MOVE",
    "KOBJ_OFFLINE",
    "KOBJ_ONLINE",
    "KOBJ_REMOVE",
    "KOBJ_UNBIND",
    "__ATTR",
    "__ATTR_RO",
    "__ATTR_RW",
    "attribute",
    "attribute_group",
    "kobj_attribute",
    "kobj_type",
    "kobject",
    "kobject_add",
    "kobject_create_and_add",
    "kobject_del",
    "kobject_get",
    "kobject_init",
    "kobject_init_and_add",
    "kobject_name",
    "kobject_put",
    "kobject_set_name",
    "kobject_uevent",
    "kref",
    "kset",
    "kset_create_and_add",
    "kset_find_obj",
    "kset_unregister",
    "sysfs_create_file",
    "sysfs_create_group",
    "sysfs_emit",
    "sysfs_emit_at",
    "sysfs_remove_file",
    "sysfs_remove_group",
]
