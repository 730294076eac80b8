"""Counted objects with a name and a place in ``/sys`` (``lib/kobject.c``, ``lib/kref.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import refcount
from kmock.kernel.refcount import kref

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.hw.clock import Clock
    from kmock.machine import Kernel
    from kmock.stack import Stack


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

    __slots__ = ("__weakref__", "_clock", "holder", "in_sysfs", "kref", "kset", "ktype", "name", "parent", "stack")

    C_SIZE = 64

    def __init__(self, holder: Any = None) -> None:
        self.holder = holder
        """The object that it is embedded in, where that is no Struct."""
        self.kref = kref()
        self.name = ""
        self.parent: kobject | None = None
        self.kset: Any = None
        self.ktype: kobj_type | None = None
        self.in_sysfs = False
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
        self.in_sysfs = False
        self.stack = k.capture()

    def count(self, k: Kernel) -> int:
        """How many references there are."""
        return self.kref.refcount.of(k).value

    def __repr__(self) -> str:
        return f"<kobject {self.name}>"


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


def _check(k: Kernel, kobj: kobject, what: str, line: int) -> None:
    if not kobj.initialized(k):
        text = (
            f"kobject: '{kobj.name or '(null)'}' ((____ptrval____)): is not initialized, "
            f"yet kobject_{what}() is being called."
        )
        k.warn("kobject-uninit", f"lib/kobject.c:{line}", f"kobject_{what}", text, key=(kobj, "uninit"))


def _cleanup(k: Kernel, kobj: kobject) -> None:
    """``kobject_cleanup()``."""
    if kobj.ktype is not None and kobj.ktype.release is not None:
        kobj.ktype.release(kobj)
