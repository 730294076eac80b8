"""Device classes, and the devices that a driver puts in them for the sake of ``/dev`` (``drivers/base/class.c``)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmock.mm.gfp import GFP_KERNEL
from kmock.sanitizers.leftovers import Registration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.stack import Stack


@dataclass(eq=False, slots=True)
class DeviceClass:
    """``struct class``: a directory of ``/sys/class``."""

    name: str
    stack: Stack
    owner: Any = None


@dataclass(eq=False, slots=True)
class ClassDevice:
    """A ``struct device`` that :meth:`Classes.create_device` made: its node in ``/dev`` has its name."""

    name: str
    devt: int
    of: DeviceClass
    stack: Stack
    parent: Any = None
    driver_data: Any = None


class Classes:
    """The device classes of one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.classes: list[DeviceClass] = []
        self.devices: list[ClassDevice] = []

    def create(self, name: str, owner: Any) -> DeviceClass | int:
        """``class_create()``: a class, or -errno."""
        if self._no_memory():
            return -errno.ENOMEM
        if any(c.name == name for c in self.classes):
            return -errno.EEXIST
        made = DeviceClass(name, self.kernel.capture(), owner)
        self.classes.append(made)
        return made

    def destroy(self, what: DeviceClass) -> None:
        """``class_destroy()``."""
        if what in self.classes:
            self.classes.remove(what)

    def create_device(self, of: DeviceClass, parent: Any, devt: int, drvdata: Any, name: str) -> ClassDevice | int:
        """``device_create()``: a device with a node in ``/dev``, or -errno."""
        if self._no_memory():
            return -errno.ENOMEM
        if any(d.of is of and d.name == name for d in self.devices):
            return -errno.EEXIST
        made = ClassDevice(name, devt, of, self.kernel.capture(), parent, drvdata)
        self.devices.append(made)
        if devt:
            self.kernel.devtmpfs.mknod(name.replace("!", "/"), devt)
        return made

    def destroy_device(self, of: DeviceClass, devt: int) -> None:
        """``device_destroy()``: nothing if there is no such device."""
        for device in [d for d in self.devices if d.of is of and d.devt == devt]:
            self.devices.remove(device)
            self.kernel.devtmpfs.unlink(device.name.replace("!", "/"))

    def registrations(self) -> Iterator[Registration]:
        """What drivers have registered here."""
        for device in self.devices:
            yield Registration(f'device "{device.name}"', device.stack, "device_destroy")
        for one in self.classes:
            yield Registration(f'class "{one.name}"', one.stack, "class_destroy")

    def _no_memory(self) -> bool:
        k = self.kernel
        return k.faults.active and k.faults.should_failslab(k.slab.kmalloc_cache(9, GFP_KERNEL), 512, GFP_KERNEL)
