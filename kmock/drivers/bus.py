"""Buses: the devices and drivers on them (``drivers/base/bus.c``, ``drivers/base/driver.c``)."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kmock.drivers import attributes, dd
from kmock.sanitizers.leftovers import Registration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.drivers.core import device
    from kmock.drivers.driver import device_driver
    from kmock.fs.files import KernelFiles
    from kmock.fs.sysfs import Directory
    from kmock.machine import Kernel
    from kmock.stack import Stack

SIZEOF_SUBSYS_PRIVATE: Final = 512
SIZEOF_DRIVER_PRIVATE: Final = 144


class bus_type:
    """``struct bus_type``; the members are given by keyword."""

    def __init__(
        self,
        *,
        name: str,
        dev_name: str = "",
        match: Callable[[Any, Any], int] | None = None,
        probe: Callable[[Any], int] | None = None,
        remove: Callable[[Any], object] | None = None,
        shutdown: Callable[[Any], object] | None = None,
        uevent: Any = None,
        bus_groups: Any = None,
        dev_groups: Any = None,
        drv_groups: Any = None,
    ) -> None:
        self.name = name
        self.dev_name = dev_name
        self.match = match
        self.probe = probe
        self.remove = remove
        self.shutdown = shutdown
        self.uevent = uevent
        self.bus_groups = bus_groups
        self.dev_groups = dev_groups
        self.drv_groups = drv_groups

    def __repr__(self) -> str:
        return f"<bus {self.name}>"


@dataclass(eq=False, slots=True)
class Driver:
    """``struct driver_private``: a driver that is registered, and its devices in the order in which they were bound."""

    driver: device_driver
    directory: Directory
    stack: Stack
    undo: str
    devices: list[device] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Bus:
    """``struct subsys_private``: a bus that is registered."""

    type: bus_type
    directory: Directory
    stack: Stack
    devices: list[device] = field(default_factory=list)
    drivers: list[device_driver] = field(default_factory=list)
    autoprobe: bool = True


class Buses:
    """The buses of one machine, and their drivers."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.registered: dict[bus_type, Bus] = {}
        self.drivers: dict[device_driver, Driver] = {}
        self.deferred = dd.Deferred(kernel)

    # -- buses --------------------------------------------------------------------------------------

    def register(self, bus: bus_type) -> int:
        """``bus_register()``: 0, -ENOMEM or -EEXIST."""
        k = self.kernel
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_SUBSYS_PRIVATE):
            return -errno.ENOMEM
        return self.enter(bus, k.capture())

    def enter(self, bus: bus_type, stack: Stack = ()) -> int:
        """Give a bus its place in ``/sys``; without a ``stack`` it is the kernel's own."""
        k = self.kernel
        where = k.sysfs.create_dir(k.sysfs.directory("bus"), bus.name)
        if where is None:
            return -errno.EEXIST
        made = self.registered[bus] = Bus(bus, where, stack)
        where.child("devices")
        where.child("drivers")
        k.sysfs.create_file(
            where, "drivers_autoprobe", lambda: f"{int(made.autoprobe)}\n", partial(_set_autoprobe, made)
        )
        k.sysfs.create_file(where, "drivers_probe", None, partial(self._probe, made))
        return attributes.create_groups(k, where, bus, bus.bus_groups)

    def unregister(self, bus: bus_type) -> None:
        """``bus_unregister()``."""
        known = self.registered.pop(bus, None)
        if known is not None:
            self.kernel.sysfs.remove(self.kernel.sysfs.directory("bus"), bus.name)

    def of(self, bus: bus_type) -> Bus:
        """What is known of a registered bus."""
        return self.registered[bus]

    def rescan(self, bus: bus_type) -> int:
        """``bus_rescan_devices()``: offer devices without a driver to the bus' drivers again; 0 or -errno."""
        for dev in list(self.of(bus).devices):
            if (err := dd.attach(self.kernel, dev)) < 0:
                return err
        return 0

    def find_device(self, bus: Bus, name: str) -> device | None:
        """``bus_find_device_by_name()``, without the reference."""
        return next((dev for dev in bus.devices if dev.name == name), None)

    def add_device(self, dev: device) -> None:
        """``bus_add_device()``."""
        k = self.kernel
        bus = self.of(dev.bus)
        here = dev.kobj.sd
        assert here is not None
        bus.devices.append(dev)
        k.sysfs.create_link(bus.directory.child("devices"), here, dev.name)
        k.sysfs.create_link(here, bus.directory, "subsystem")

    def remove_device(self, dev: device) -> None:
        """``bus_remove_device()``: take it off its bus."""
        bus = self.of(dev.bus)
        self.kernel.sysfs.remove(bus.directory.child("devices"), dev.name)
        if dev in bus.devices:
            bus.devices.remove(dev)

    # -- drivers ------------------------------------------------------------------------------------

    def register_driver(self, drv: device_driver, undo: str = "driver_unregister") -> int:
        """``driver_register()``: 0, -EINVAL, -EBUSY, -ENOMEM; its devices are probed before it returns."""
        k = self.kernel
        bus = self.registered.get(drv.bus)
        if bus is None:
            name = drv.bus.name if drv.bus is not None else "(null)"
            k.log.write(
                f"Driver '{drv.name}' was unable to register with bus_type '{name}' "
                "because the bus was not initialized."
            )
            return -errno.EINVAL
        if any(other.name == drv.name for other in bus.drivers):
            k.log.write(f"Error: Driver '{drv.name}' is already registered, aborting...")
            return -errno.EBUSY
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_DRIVER_PRIVATE):
            return -errno.ENOMEM
        where = k.sysfs.create_dir(bus.directory.child("drivers"), drv.name)
        if where is None:
            return -errno.EEXIST
        self.drivers[drv] = Driver(drv, where, k.capture(), undo)
        bus.drivers.append(drv)
        if bus.autoprobe:
            dd.driver_attach(k, drv)
        self._bind_files(bus, drv, where)
        return attributes.create_groups(k, where, drv, drv.groups)

    def _bind_files(self, bus: Bus, drv: device_driver, where: Directory) -> None:
        k = self.kernel
        attributes.create_groups(k, where, drv, bus.type.drv_groups)
        if not drv.suppress_bind_attrs:
            k.sysfs.create_file(where, "bind", None, partial(self._bind, bus, drv))
            k.sysfs.create_file(where, "unbind", None, partial(self._unbind, bus, drv))

    def unregister_driver(self, drv: device_driver) -> None:
        """``driver_unregister()``: take it from its devices."""
        k = self.kernel
        if drv not in self.drivers:
            k.warn(
                "registration-twice", "drivers/base/driver.c:270", "driver_unregister", "Unexpected driver unregister!"
            )
            return
        self.of(drv.bus).drivers.remove(drv)
        dd.driver_detach(k, drv)
        del self.drivers[drv]
        k.sysfs.remove(self.of(drv.bus).directory.child("drivers"), drv.name)

    def _bind(self, bus: Bus, drv: device_driver, text: str) -> int:
        """``bind_store()``."""
        dev = self.find_device(bus, text.strip())
        if dev is None or dd.match(self.kernel, drv, dev) <= 0:
            return -errno.ENODEV
        return dd.device_driver_attach(self.kernel, drv, dev)

    def _unbind(self, bus: Bus, drv: device_driver, text: str) -> int:
        """``unbind_store()``."""
        dev = self.find_device(bus, text.strip())
        if dev is None or dev.driver is not drv:
            return -errno.ENODEV
        dd.release_driver(self.kernel, dev)
        return 0

    def _probe(self, bus: Bus, text: str) -> int:
        """``drivers_probe_store()``."""
        dev = self.find_device(bus, text.strip())
        if dev is None:
            return -errno.ENODEV
        return min(dd.attach(self.kernel, dev), 0)

    # -- at the end ---------------------------------------------------------------------------------

    def registrations(self) -> Iterator[Registration]:
        """What drivers have registered here."""
        for known in self.drivers.values():
            if known.stack:
                yield Registration(f'driver "{known.driver.name}"', known.stack, known.undo)
        for bus in self.registered.values():
            if bus.stack:
                yield Registration(f'bus "{bus.type.name}"', bus.stack, "bus_unregister")


def _set_autoprobe(bus: Bus, text: str) -> None:
    bus.autoprobe = not text.startswith("0")


def attach(files: KernelFiles) -> None:
    """Bring the buses up: somebody looks into ``/sys/bus``."""
    assert files.kernel.platform
    assert files.kernel.pci


def attach_debugfs(files: KernelFiles) -> None:
    """Add the list of devices whose probe is to be tried again."""
    deferred = files.kernel.buses.deferred
    files.add("/sys/kernel/debug/devices_deferred", read=lambda: "".join(f"{dev.name}\t\n" for dev in deferred.pending))
