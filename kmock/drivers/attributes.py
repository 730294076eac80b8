"""Attributes of devices, drivers, buses, classes and kobjects: files of ``/sys`` (``drivers/base/core.c``, ``fs/sysfs/``).

An attribute's ``show(object, attribute, buf)`` fills the page at ``buf`` and returns how many bytes it took, its
``store(object, attribute, buf, count)`` takes ``count`` bytes and returns how many it used; both may fail with -errno.
Drivers' and buses' functions have no parameter for the attribute.
"""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kmock.fs.sysfs import S_IRUGO, S_IWUGO
from kmock.lang.format import vsprintf
from kmock.lang.ptr import make_ptr
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_KERNEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kmock.fs.sysfs import Directory
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel

PAGE_SIZE: Final = 4096


@dataclass(eq=False)
class attribute:
    """``struct attribute`` and what the kinds of it add: the functions behind the file."""

    name: str
    mode: int = S_IRUGO
    show: Callable[..., int] | None = None
    store: Callable[..., int] | None = None

    knows_itself = True
    """Whether the functions get the attribute too."""

    @property
    def attr(self) -> attribute:
        """C's ``&x.attr``."""
        return self


class device_attribute(attribute):
    """``struct device_attribute``; ``show(dev, attr, buf)``, ``store(dev, attr, buf, count)``."""


class class_attribute(attribute):
    """``struct class_attribute``; ``show(class, attr, buf)``."""


class kobj_attribute(attribute):
    """``struct kobj_attribute``; ``show(kobj, attr, buf)``."""


class driver_attribute(attribute):
    """``struct driver_attribute``; ``show(driver, buf)``, ``store(driver, buf, count)``."""

    knows_itself = False


class bus_attribute(attribute):
    """``struct bus_attribute``; ``show(bus, buf)``."""

    knows_itself = False


class attribute_group:
    """``struct attribute_group``: attributes that come and go together, in a directory of their own if it has a name."""

    def __init__(
        self,
        *,
        attrs: Iterable[attribute] = (),
        name: str = "",
        is_visible: Callable[[Any, attribute, int], int] | None = None,
    ) -> None:
        self.name = name
        self.attrs = [attr for attr in attrs if attr is not None]
        self.is_visible = is_visible


def in_scope(name: str, depth: int = 2) -> Any:
    """What the caller's caller calls ``name``, None if nothing: C's macros paste names together."""
    frame = sys._getframe(depth)
    return frame.f_locals.get(name, frame.f_globals.get(name))


# -- reading and writing ----------------------------------------------------------------------------


def create_file(k: Kernel, where: Directory | None, of: Any, attr: attribute, mode: int | None = None) -> int:
    """``sysfs_create_file()``: 0, -EINVAL where the object has no directory, or -EEXIST."""
    if where is None:
        k.warn("kobject-uninit", "fs/sysfs/file.c:355", "sysfs_create_file_ns", key=attr)
        return -errno.EINVAL
    mode = attr.mode if mode is None else mode
    read = partial(_show, k, of, attr) if mode & S_IRUGO else None
    write = partial(_store, k, of, attr) if mode & S_IWUGO else None
    return k.sysfs.create_file(where, attr.name, read, write)


def create_group(k: Kernel, where: Directory, of: Any, group: attribute_group) -> int:
    """``sysfs_create_group()``: all of the group's attributes or none."""
    inside = where
    if group.name:
        made = k.sysfs.create_dir(where, group.name)
        if made is None:
            return -errno.EEXIST
        inside = made
    for n, attr in enumerate(group.attrs):
        mode = group.is_visible(of, attr, n) if group.is_visible is not None else attr.mode
        if mode and (err := create_file(k, inside, of, attr, mode)):
            remove_group(k, where, group, n)
            return err
    return 0


def remove_group(k: Kernel, where: Directory, group: attribute_group, n: int | None = None) -> None:
    """``sysfs_remove_group()``: its attributes, or the first ``n`` of them."""
    if group.name:
        k.sysfs.remove(where, group.name)
        return
    for attr in group.attrs[:n]:
        k.sysfs.remove(where, attr.name)


def create_groups(k: Kernel, where: Directory, of: Any, groups: Iterable[attribute_group] | None) -> int:
    """``sysfs_create_groups()``: all groups or none."""
    made: list[attribute_group] = []
    for group in groups or ():
        if err := create_group(k, where, of, group):
            remove_groups(k, where, made)
            return err
        made.append(group)
    return 0


def remove_groups(k: Kernel, where: Directory, groups: Iterable[attribute_group] | None) -> None:
    """``sysfs_remove_groups()``."""
    for group in groups or ():
        remove_group(k, where, group)


def _show(k: Kernel, of: Any, attr: attribute) -> str:
    if attr.show is None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    page, buf = _page(k)
    try:
        count = attr.show(of, attr, buf) if attr.knows_itself else attr.show(of, buf)
        if count < 0:
            raise OSError(-count, os.strerror(-count))
        if count >= PAGE_SIZE:
            k.log.write(f"dev_attr_show: {getattr(attr.show, '__name__', 'show')}+0x0/0x0 returned bad count")
            count = PAGE_SIZE - 1
        return k.mem.load(buf, 0, count).decode("latin-1")
    finally:
        k.page_alloc.drop(page, 0)


def _store(k: Kernel, of: Any, attr: attribute, text: str) -> int:
    if attr.store is None:
        return -errno.EIO
    page, buf = _page(k)
    try:
        data = f"{text}\n".encode("latin-1")[: PAGE_SIZE - 1]
        k.mem.store(buf, 0, data)
        args = (of, attr, buf, len(data)) if attr.knows_itself else (of, buf, len(data))
        return attr.store(*args)
    finally:
        k.page_alloc.drop(page, 0)


def _page(k: Kernel) -> tuple[Any, Ptr]:
    page = k.page_alloc.alloc_pages(GFP_KERNEL | GFP_ZERO, 0, None, call="__get_free_pages")
    if page is None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    return page, make_ptr(page.owner.addr, page.owner)


def emit(k: Kernel, buf: Ptr, fmt: str, args: tuple[Any, ...], at: int | None = None) -> int:
    """``sysfs_emit()``, ``sysfs_emit_at()``: print into the page at ``buf``; how many bytes that took."""
    by, line, more = ("sysfs_emit", 740, "") if at is None else ("sysfs_emit_at", 768, f" at:{at}")
    at = at or 0
    if not buf or int(buf) % PAGE_SIZE or not 0 <= at < PAGE_SIZE:
        k.warn("driver-warning", f"fs/sysfs/file.c:{line}", by, f"invalid {by}: buf:(____ptrval____){more}")
        return 0
    text = vsprintf(k, fmt, args).encode("latin-1")[: PAGE_SIZE - at - 1]
    k.mem.store(buf, at, text + b"\0")
    return len(text)
