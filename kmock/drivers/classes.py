"""Device classes, and the devices that are made for them alone (``drivers/base/class.c``, ``device_create()``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from kmock.drivers import attributes
from kmock.drivers.core import SIZEOF_DEVICE, device
from kmock.sanitizers.leftovers import Registration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.machine import Kernel
    from kmock.stack import Stack

SIZEOF_CLASS: Final = 120


class device_class:
    """``struct class``: a directory of ``/sys/class``; the members are given by keyword."""

    def __init__(
        self,
        *,
        name: str = "",
        owner: Any = None,
        class_groups: Any = None,
        dev_groups: Any = None,
        dev_release: Callable[[Any], object] | None = None,
        class_release: Callable[[Any], object] | None = None,
        dev_uevent: Any = None,
        devnode: Any = None,
    ) -> None:
        self.name = name
        self.owner = owner
        self.class_groups = class_groups
        self.dev_groups = dev_groups
        self.dev_release = dev_release
        self.class_release = class_release
        self.dev_uevent = dev_uevent
        self.devnode = devnode

    def __repr__(self) -> str:
        return f"<class {self.name}>"


class Classes:
    """The device classes of one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.registered: dict[device_class, tuple[Stack, str]] = {}
        """Where each was registered, and how that is undone."""

    def create(self, name: str, owner: Any) -> device_class | int:
        """``class_create()``: a class, or -errno."""
        made = device_class(name=name, owner=owner)
        err = self.register(made, "class_destroy")
        return err or made

    def register(self, cls: device_class, undo: str = "class_unregister") -> int:
        """``class_register()``: 0 or -errno."""
        k = self.kernel
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_CLASS):
            return -errno.ENOMEM
        where = k.sysfs.create_dir(k.sysfs.directory("class"), cls.name)
        if where is None:
            return -errno.EEXIST
        self.registered[cls] = k.capture(), undo
        return attributes.create_groups(k, where, cls, cls.class_groups)

    def unregister(self, cls: device_class) -> None:
        """``class_unregister()``, ``class_destroy()``."""
        if self.registered.pop(cls, None) is not None:
            k = self.kernel
            k.sysfs.remove(k.sysfs.directory("class"), cls.name)
            if cls.class_release is not None:
                cls.class_release(cls)

    def create_device(
        self, of: device_class, parent: device | None, devt: int, drvdata: Any, name: str, groups: Any = None
    ) -> device | int:
        """``device_create()``: a device with a node in ``/dev``, or -errno."""
        k = self.kernel
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_DEVICE):
            return -errno.ENOMEM
        made = device()
        made.release = lambda _: None
        made.init_name = name
        made.devt = devt
        made.class_ = of
        made.parent = parent
        made.driver_data = drvdata
        made.groups = groups
        if err := k.devices.register(made):
            k.devices.put(made)
            return err
        return made

    def devices(self, of: device_class) -> list[device]:
        """The class' devices."""
        return [dev for dev in self.kernel.devices.added if dev.class_ is of]

    def destroy_device(self, of: device_class, devt: int) -> None:
        """``device_destroy()``: nothing if there is no such device."""
        found = next((dev for dev in self.devices(of) if dev.devt == devt), None)
        if found is not None:
            self.kernel.devices.unregister(found)

    def registrations(self) -> Iterator[Registration]:
        """What drivers have registered here."""
        for cls, (stack, undo) in self.registered.items():
            yield Registration(f'class "{cls.name}"', stack, undo)
