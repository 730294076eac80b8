"""Counted objects with a name and a place in ``/sys`` (``lib/kobject.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from kmock.drivers import attributes
from kmock.kernel import refcount
from kmock.kernel.refcount import kref

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.fs.sysfs import Directory
    from kmock.hw.clock import Clock
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

SIZEOF_KOBJECT = 64
SIZEOF_KSET = 96


class kobj_type:
    """``struct kobj_type``: what the objects of one type have in common."""

    def __init__(
        self,
        *,
        release: Callable[[Any], object] | None = None,
        sysfs_ops: Any = None,
        default_groups: Any = None,
    ) -> None:
        self.release = release
        self.sysfs_ops = sysfs_ops
        self.default_groups = default_groups


class kobject:
    """``struct kobject``, as C embeds it; uninitialised until ``kobject_init()``.

    A kobject that is defined once and used by one machine after the other begins anew in each.
    """

    __slots__ = ("__weakref__", "_clock", "holder", "kref", "kset", "ktype", "name", "parent", "sd", "stack")

    C_SIZE = SIZEOF_KOBJECT

    def __init__(self, holder: Any = None) -> None:
        self.holder = holder
        """The object that it is embedded in, where that is no Struct."""
        self.kref = kref()
        self.name = ""
        self.parent: kobject | None = None
        self.kset: kset | None = None
        self.ktype: kobj_type | None = None
        self.sd: Directory | None = None
        """Its directory in ``/sys``."""
        self.stack: Stack = ()
        """Where it was initialised."""
        self._clock: Clock | None = None  # of the machine that it was initialised on; keeps no machine alive

    def initialized(self, k: Kernel) -> bool:
        """``state_initialized``."""
        return self._clock is k.clock

    def begin(self, k: Kernel, ktype: kobj_type | None) -> None:
        """``kobject_init_internal()``: the first reference, and no place yet."""
        self._clock = k.clock
        self.kref.refcount.of(k).value = 1
        self.ktype = ktype
        self.sd = None
        self.stack = k.capture()

    def count(self, k: Kernel) -> int:
        """How many references there are."""
        return self.kref.refcount.of(k).value

    def reference_left(self, k: Kernel) -> Stack:
        """Where the last reference was taken, if some are left; empty if none is."""
        return self.kref.reference_left(k)

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The structure that it is embedded in is being freed: its last reference should have done that."""
        if self.initialized(k) and self.count(k) > 0:
            _freed(k, self, allocation)

    def __repr__(self) -> str:
        return f"<kobject {self.name}>"


class kset:
    """``struct kset``: kobjects that belong together."""

    def __init__(self) -> None:
        self.kobj = kobject(self)
        self.list: list[kobject] = []


def init(k: Kernel, kobj: kobject, ktype: kobj_type | None) -> None:
    """``kobject_init()``."""
    if ktype is None:
        k.log.write("kobject ((____ptrval____)): must have a ktype to be initialized properly!")
        return
    if kobj.initialized(k):
        text = "kobject ((____ptrval____)): tried to init an initialized object, something is seriously wrong."
        stacks = {"access": k.capture(), "first initialised": kobj.stack}
        k.report("kobject-reinit", text, stacks=stacks, key=(kobj, "init"))
    kobj.begin(k, ktype)


def get(k: Kernel, kobj: kobject) -> kobject:
    """``kobject_get()``."""
    _check(k, kobj, "get", 632)
    refcount.add(k, 1, kobj.kref.refcount)
    return kobj


def put(k: Kernel, kobj: kobject) -> None:
    """``kobject_put()``: with the last reference the object goes."""
    _check(k, kobj, "put", 726)
    if refcount.sub_and_test(k, 1, kobj.kref.refcount):
        _cleanup(k, kobj)


def add(k: Kernel, kobj: kobject, parent: kobject | None, name: str) -> int:
    """``kobject_add()``: 0 or -errno."""
    if not kobj.initialized(k):
        text = f"kobject '{kobj.name or '(null)'}' ((____ptrval____)): tried to add an uninitialized object, something is seriously wrong."
        k.report("kobject-uninit", text, key=(kobj, "uninit"))
        return -errno.EINVAL
    kobj.name = name.replace("/", "!")
    if not kobj.name:
        k.log.write("kobject: (____ptrval____): attempted to be registered with empty name!")
        return -errno.EINVAL
    if kobj.kset is not None and parent is None:
        parent = kobj.kset.kobj
    if parent is not None:
        get(k, parent)
    where = parent.sd if parent is not None else None
    err = add_to(k, kobj, where or k.sysfs.root, parent)
    if err and parent is not None:
        put(k, parent)
    if not err and kobj.kset is not None:
        kobj.kset.list.append(kobj)
    return err


def add_to(k: Kernel, kobj: kobject, where: Directory, parent: kobject | None) -> int:
    """``kobject_add_internal()``: make its directory in ``where``; 0 or -errno."""
    kobj.sd = k.sysfs.create_dir(where, kobj.name)
    if kobj.sd is None:
        k.log.write(
            f"kobject_add_internal failed for {kobj.name} with -EEXIST, "
            "don't try to register things with the same name in the same directory."
        )
        return -errno.EEXIST
    kobj.parent = parent
    if kobj.ktype is not None:
        return attributes.create_groups(k, kobj.sd, kobj, kobj.ktype.default_groups)
    return 0


def delete(k: Kernel, kobj: kobject) -> kobject | None:
    """``__kobject_del()``: take it out of ``/sys``; return the parent that it had a reference to."""
    if kobj.sd is not None and kobj.sd.parent is not None:
        k.sysfs.remove(kobj.sd.parent, kobj.name)
        kobj.sd = None
    if kobj.kset is not None and kobj in kobj.kset.list:
        kobj.kset.list.remove(kobj)
    parent, kobj.parent = kobj.parent, None
    return parent


def remove(k: Kernel, kobj: kobject) -> None:
    """``kobject_del()``."""
    if (parent := delete(k, kobj)) is not None:
        put(k, parent)


_DYNAMIC = kobj_type(release=lambda _: None)


def create_and_add(k: Kernel, name: str, parent: kobject | None) -> kobject | None:
    """``kobject_create_and_add()``: None where that can't be."""
    if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_KOBJECT):
        return None
    made = kobject()
    made.begin(k, _DYNAMIC)
    if err := add(k, made, parent, name):
        k.log.write(f"kobject_create_and_add: kobject_add error: {err}")
        put(k, made)
        return None
    return made


def create_kset(k: Kernel, name: str, parent: kobject | None) -> kset | None:
    """``kset_create_and_add()``: None where that can't be."""
    if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_KSET):
        return None
    made = kset()
    made.kobj.begin(k, _DYNAMIC)
    return None if add(k, made.kobj, parent, name) else made


def _check(k: Kernel, kobj: kobject, what: str, line: int) -> None:
    if not kobj.initialized(k):
        text = (
            f"kobject: '{kobj.name or '(null)'}' ((____ptrval____)): is not initialized, "
            f"yet kobject_{what}() is being called."
        )
        k.warn("kobject-uninit", f"lib/kobject.c:{line}", f"kobject_{what}", text, key=(kobj, "uninit"))


def _cleanup(k: Kernel, kobj: kobject) -> None:
    """``kobject_cleanup()``: the last reference went."""
    if kobj.ktype is not None and kobj.ktype.release is None:
        stack = k.capture()
        name = kobj.name or "(null)"
        k.report(
            "kobject-no-release",
            f"kobject: '{name}' ((____ptrval____)): does not have a release() function, it is broken and must be fixed. "
            "See Documentation/core-api/kobject.rst.",
            stacks={"access": stack, "initialised": kobj.stack},
            key=(kobj, "release"),
        )
    parent = delete(k, kobj) if kobj.sd is not None else None
    if kobj.ktype is not None and kobj.ktype.release is not None:
        kobj.ktype.release(kobj)
    if parent is not None:
        put(k, parent)


def _freed(k: Kernel, kobj: kobject, allocation: Allocation | None) -> None:
    stack = k.capture()
    stacks = {"access": stack, "initialised": kobj.stack}
    if allocation is not None:
        stacks["allocated"] = allocation.alloc_stack
    k.report(
        "free-of-typed-object",
        f"BUG: kmock: free-of-typed-object in {k.symbol(stack)}",
        lines=[f"the memory of kobject '{kobj.name}' is freed with {kobj.count(k)} reference(s) to it left"],
        stacks=stacks,
        key=(kobj, "free"),
    )
