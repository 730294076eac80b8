"""Devices: their names, references and places (``drivers/base/core.c``)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kmock.drivers import attributes, dd
from kmock.drivers import kobject as _kobject
from kmock.drivers.driver import device_driver
from kmock.drivers.kobject import kobj_type, kobject
from kmock.mm.slub import NUMA_NO_NODE
from kmock.sanitizers.leftovers import Registration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from kmock.drivers.devres import Marker, Node
    from kmock.fs.sysfs import Directory
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

SIZEOF_DEVICE_PRIVATE: Final = 256
SIZEOF_DEVICE: Final = 744


@dataclass(eq=False, slots=True)
class device_dma_parameters:
    """``struct device_dma_parameters``: 0 stands for the defaults, 64 KiB and no boundary."""

    max_segment_size: int = 0
    min_align_mask: int = 0
    segment_boundary_mask: int = 0


class device_type:
    """``struct device_type``: what the devices of one type have in common."""

    def __init__(
        self, *, name: str = "", groups: Any = None, release: Callable[[Any], object] | None = None, uevent: Any = None
    ) -> None:
        self.name = name
        self.groups = groups
        self.release = release
        self.uevent = uevent


@dataclass(eq=False, slots=True)
class Private:
    """``struct device_private``: what the driver core knows of a device that was added."""

    stack: Stack
    """Where it was added."""
    dead: bool = False
    bound: bool = False
    seqs: tuple[int, int] = (0, 0)
    """Allocations made when its driver's probe began and ended."""
    task: Task | None = None
    """Who ran the probe."""
    made: tuple[Stack, ...] = ()
    """Where its driver's probe registered something."""


class device:
    """``struct device``. ``device()`` is one that C embeds in a structure of the driver.

    ``dma_mask`` is what C's pointer points to, None where that is NULL. C's ``class`` is :attr:`class_` here.
    """

    __slots__ = (
        "__weakref__",
        "archdata",
        "bus",
        "bus_dma_limit",
        "class_",
        "coherent_dma_mask",
        "devres_head",
        "devt",
        "dma_coherent",
        "dma_mask",
        "dma_parms",
        "driver",
        "driver_data",
        "fwnode",
        "groups",
        "id",
        "init_name",
        "kobj",
        "numa_node",
        "of_node",
        "outer",
        "p",
        "parent",
        "platform_data",
        "release",
        "type",
    )

    C_SIZE = SIZEOF_DEVICE

    def __init__(self, outer: Any = None) -> None:
        self.kobj = kobject(self)
        self.outer = outer
        """The bus' own structure that it is embedded in."""
        self.parent: device | None = None
        self.init_name = ""
        self.type: device_type | None = None
        self.bus: Any = None
        self.driver: device_driver | None = None
        self.class_: Any = None
        self.groups: Any = None
        self.release: Callable[[Any], object] | None = None
        self.platform_data: Any = None
        self.driver_data: Any = None
        self.devt = 0
        self.id = 0
        self.of_node: Any = None
        self.fwnode: Any = None
        self.numa_node = NUMA_NO_NODE
        self.dma_mask: int | None = None
        self.coherent_dma_mask = 0
        self.bus_dma_limit = 0
        self.dma_parms: device_dma_parameters | None = None
        self.dma_coherent = True
        self.archdata: Any = None
        self.devres_head: list[Node | Marker] | None = None
        """The managed resources, the youngest last; None until ``device_initialize()``."""
        self.p: Private | None = None

    @property
    def name(self) -> str:
        """``dev_name()``."""
        return self.init_name or self.kobj.name

    def reference_left(self, k: Kernel) -> Stack:
        """Where the last reference was taken, if some are left; empty if none is."""
        return self.kobj.kref.reference_left(k)

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The structure that it is embedded in is being freed: its last reference should have done that."""
        if self.kobj.initialized(k) and self.kobj.count(k) > 0:
            k.devices.freed(self, allocation)

    def __repr__(self) -> str:
        return f"<device {self.name}>"


def driver_string(dev: device) -> str:
    """``dev_driver_string()``: the driver's name, else the bus', else the class'."""
    for named in (dev.driver, dev.bus, dev.class_):
        if named is not None and named.name:
            return str(named.name)
    return ""


def printk(k: Kernel, dev: device, text: str) -> None:
    """``dev_printk()``: log a message that names its device."""
    k.log.write(f"{driver_string(dev)} {dev.name}: {text}")


class Devices:
    """The devices of one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.ktype = kobj_type(release=lambda kobj: self._release(kobj.holder))
        self.added: list[device] = []
        """The devices that are there, the youngest last."""
        self.plugged: dict[device, Callable[[], object]] = {}
        """What the test plugged in, and how it is pulled out."""
        self.unbound: list[Callable[[device], object]] = []
        """Called with each device that lost its driver, after its managed resources went (BUS_NOTIFY_UNBOUND_DRIVER)."""

    # -- what the test makes ------------------------------------------------------------------------

    def make_simple(self, name: str, dma_mask: int | None) -> device:
        """``kernel.device()``: a device that is bound to a driver of its own name from now on."""
        dev = device()
        dev.release = lambda _: None
        dev.init_name = name
        dev.dma_mask = dma_mask
        dev.coherent_dma_mask = dma_mask or 0
        dev.dma_parms = device_dma_parameters()
        namesakes = sum(other.name == name for other in self.added)
        if namesakes:
            # Tests need not think of names; in /sys they can't be side by side.
            dev.parent = self.make_root(f"{name}-{namesakes}")
        self.initialize(dev)
        self._enter(dev)
        assert dev.p is not None
        dev.driver = device_driver(name=name)
        dev.p.bound = True
        self.plug(dev, lambda: self.unregister(dev))
        return dev

    def release_managed(self, dev: device) -> int:
        """``devres_release_all()``, after which what ``kernel.device()`` made is unbound."""
        count = self.kernel.devres.release_all(dev)
        if dev in self.plugged and dev.bus is None:
            dd.release_driver(self.kernel, dev)
        return count

    def make_root(self, name: str) -> device:
        """A device that others are children of: the machine's own, whoever asked for their bus first."""
        dev = device()
        dev.init_name = name
        dev.release = lambda _: None
        self.initialize(dev)
        self._enter(dev)
        assert dev.p is not None
        dev.p.stack = ()
        return dev

    def plug(self, dev: device, pull: Callable[[], object]) -> None:
        """Remember a device of the test's: ``pull()`` takes it away at the end."""
        self.plugged[dev] = pull

    def halt(self, spare: Collection[object]) -> None:
        """The test, or the machine, ends: pull out what it plugged in, the youngest first."""
        for dev, pull in [*self.plugged.items()][::-1]:
            if dev not in spare:
                del self.plugged[dev]
                pull()

    # -- life ---------------------------------------------------------------------------------------

    def initialize(self, dev: device) -> None:
        """``device_initialize()``: the first reference, which ``put_device()`` gives back."""
        dev.kobj.holder = dev
        _kobject.init(self.kernel, dev.kobj, self.ktype)
        dev.devres_head = []
        dev.p = None

    def get(self, dev: device) -> device:
        """``get_device()``."""
        _kobject.get(self.kernel, dev.kobj)
        return dev

    def put(self, dev: device) -> None:
        """``put_device()``."""
        _kobject.put(self.kernel, dev.kobj)

    def register(self, dev: device) -> int:
        """``device_register()``: 0 or -errno; either way ``put_device()`` is what frees it."""
        self.initialize(dev)
        return self.add(dev)

    def unregister(self, dev: device) -> None:
        """``device_unregister()``."""
        self.delete(dev)
        self.put(dev)

    def add(self, dev: device) -> int:
        """``device_add()``: give it a name, a place in ``/sys`` and a driver; 0 or -errno."""
        k = self.kernel
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_DEVICE_PRIVATE):
            return -errno.ENOMEM
        return self._enter(dev)

    def _enter(self, dev: device) -> int:
        self.get(dev)
        if dev.init_name:
            dev.kobj.name, dev.init_name = dev.init_name.replace("/", "!"), ""
        elif not dev.kobj.name and dev.bus is not None and dev.bus.dev_name:
            dev.kobj.name = f"{dev.bus.dev_name}{dev.id}"
        err = self._add(dev) if dev.kobj.name else -errno.EINVAL
        self.put(dev)
        return err

    def _add(self, dev: device) -> int:
        k = self.kernel
        parent = self.get(dev.parent) if dev.parent is not None else None
        if parent is not None and dev.numa_node == NUMA_NO_NODE:
            dev.numa_node = parent.numa_node
        dev.p = Private(k.capture())
        err = _kobject.add_to(k, dev.kobj, self._directory(dev), parent.kobj if parent is not None else None)
        if not err:
            err = self._show(dev)
        if err:
            dev.p = None
            if parent is not None:
                self.put(parent)
            return err
        self.added.append(dev)
        if dev.bus is not None:
            k.buses.add_device(dev)
            if k.buses.of(dev.bus).autoprobe:
                dd.attach(k, dev)
        return 0

    def delete(self, dev: device) -> None:
        """``device_del()``: unbind it and take it out of ``/sys``; references to it may remain."""
        k = self.kernel
        parent = dev.parent
        if dev.p is None or dev not in self.added:
            k.die("refcount-underflow", "BUG: kernel NULL pointer dereference, address: 0000000000000108")
        dev.p.dead = True
        if dev.devt:
            k.devtmpfs.unlink(_node(dev))
        if dev.bus is not None:
            k.buses.remove_device(dev)
        dd.release_driver(k, dev)
        k.buses.deferred.remove(dev)
        self.added.remove(dev)
        # Without a driver nobody else does; device_release() comes too late for a resource that holds a reference.
        k.devres.release_all(dev)
        self.plugged.pop(dev, None)
        self._hide(dev)
        _kobject.delete(k, dev.kobj)
        if parent is not None:
            self.put(parent)

    def _release(self, dev: device) -> None:
        """``device_release()``: the last reference went."""
        k = self.kernel
        k.devres.release_all(dev)
        release = dev.release
        if release is None and dev.type is not None:
            release = dev.type.release
        if release is None and dev.class_ is not None:
            release = dev.class_.dev_release
        if release is not None:
            release(dev)
            return
        text = (
            f"Device '{dev.name}' does not have a release() function, it is broken and must be fixed. "
            "See Documentation/core-api/kobject.rst."
        )
        k.warn("kobject-no-release", "drivers/base/core.c:2510", "device_release", text, key=(dev, "release"))

    def freed(self, dev: device, allocation: Allocation | None) -> None:
        """Report memory that is freed while the device in it is referenced."""
        k = self.kernel
        stack = k.capture()
        stacks = {"access": stack, "initialised": dev.kobj.stack}
        if allocation is not None:
            stacks["allocated"] = allocation.alloc_stack
        k.report(
            "put-device-vs-kfree",
            f"BUG: kmock: put-device-vs-kfree in {k.symbol(stack)}",
            lines=[f'the memory of device "{dev.name}" is freed with {dev.kobj.count(k)} reference(s) to it left'],
            stacks=stacks,
            key=(dev, "free"),
        )

    # -- /sys ---------------------------------------------------------------------------------------

    def _directory(self, dev: device) -> Directory:
        """``get_device_parent()``: where its directory goes."""
        sysfs = self.kernel.sysfs
        parent = dev.parent.kobj.sd if dev.parent is not None else None
        if dev.class_ is None:
            return parent or sysfs.directory("devices")
        return (parent or sysfs.directory("devices/virtual")).child(dev.class_.name)

    def _show(self, dev: device) -> int:
        """The attributes and links of a new device."""
        k = self.kernel
        here = dev.kobj.sd
        assert here is not None
        groups = [dev.class_ and dev.class_.dev_groups, dev.type and dev.type.groups, dev.groups]
        groups.append(dev.bus and dev.bus.dev_groups)
        for n, several in enumerate(groups):
            if err := attributes.create_groups(k, here, dev, several):
                for done in groups[:n]:
                    attributes.remove_groups(k, here, done)
                _kobject.delete(k, dev.kobj)
                return err
        if dev.devt:
            k.sysfs.create_file(here, "dev", lambda: f"{dev.devt >> 20}:{dev.devt & 0xFFFFF}\n")
            k.devtmpfs.mknod(_node(dev), dev.devt)
        if dev.class_ is not None:
            k.sysfs.create_link(k.sysfs.directory(f"class/{dev.class_.name}"), here, dev.name)
        return 0

    def _hide(self, dev: device) -> None:
        if dev.class_ is not None:
            self.kernel.sysfs.remove(self.kernel.sysfs.directory(f"class/{dev.class_.name}"), dev.name)

    # -- at the end ---------------------------------------------------------------------------------

    def registrations(self) -> Iterator[Registration]:
        """The devices that drivers have added."""
        for dev in self.added:
            if dev.p is not None and dev.p.stack and dev not in self.plugged:
                undo = "device_destroy" if dev.class_ is not None and dev.outer is None else "device_unregister"
                undo = "platform_device_unregister" if dev.bus is self.kernel.platform.bus else undo
                yield Registration(f'device "{dev.name}"', dev.p.stack, undo)


def _node(dev: device) -> str:
    """The name of its node in ``/dev``."""
    return dev.name.replace("!", "/")
