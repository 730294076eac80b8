"""``<linux/device/bus.h>``: buses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.drivers.attributes import bus_attribute, in_scope
from kmock.drivers.bus import bus_type
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.drivers.core import device
    from kmock.machine import Kernel


@api(since="2.5.1", sleeps=Sleeps.ALWAYS, undo="bus_unregister", fails=True)
def bus_register(k: Kernel, bus: bus_type) -> int:
    """Register a bus, so that devices and drivers can be on it: 0 or -errno."""
    return k.buses.register(bus)


@api(since="2.5.1", sleeps=Sleeps.ALWAYS)
def bus_unregister(k: Kernel, bus: bus_type) -> None:
    """Take a bus away; its devices and drivers go first."""
    k.buses.unregister(bus)


@api(since="2.5.1", sleeps=Sleeps.ALWAYS)
def bus_for_each_dev(
    k: Kernel, bus: bus_type, start: device | None, data: Any, fn: Callable[[device, Any], int]
) -> int:
    """Call ``fn(dev, data)`` for each device after ``start`` until it returns something; return that, or 0."""
    devices = list(k.buses.of(bus).devices)
    for dev in devices[devices.index(start) + 1 if start is not None else 0 :]:
        if err := fn(dev, data):
            return err
    return 0


@api(since="2.6.17", sleeps=Sleeps.ALWAYS, undo="put_device", fails=True)
def bus_find_device_by_name(k: Kernel, bus: bus_type, start: device | None, name: str) -> device | None:
    """The device of that name, with a reference; None if there is none."""
    found = k.buses.find_device(k.buses.of(bus), name)
    return k.devices.get(found) if found is not None else None


@api(since="2.6.0", sleeps=Sleeps.ALWAYS)
def bus_rescan_devices(k: Kernel, bus: bus_type) -> int:
    """Offer the bus' devices to its drivers again; 0."""
    return k.buses.rescan(bus)


def BUS_ATTR_RO(name: str) -> bus_attribute:
    """Define an attribute of a bus, shown by the caller's ``<name>_show(bus, buf)``."""
    return bus_attribute(name, 0o444, in_scope(f"{name}_show"))


__getattr__ = header_getattr(__name__)
__all__ = [
    "BUS_ATTR_RO",
    "bus_attribute",
    "bus_find_device_by_name",
    "bus_for_each_dev",
    "bus_register",
    "bus_rescan_devices",
    "bus_type",
    "bus_unregister",
]
