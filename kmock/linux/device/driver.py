"""``<linux/device/driver.h>``: drivers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kmock.drivers.attributes import driver_attribute, in_scope
from kmock.drivers.driver import device_driver
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel


@api(since="2.5.1", sleeps=Sleeps.ALWAYS, undo="driver_unregister", fails=True)
def driver_register(k: Kernel, drv: device_driver) -> int:
    """Register a driver with its bus, which offers it the devices there are: 0 or -errno."""
    return k.buses.register_driver(drv)


@api(since="2.5.1", sleeps=Sleeps.ALWAYS)
def driver_unregister(k: Kernel, drv: device_driver) -> None:
    """Take the driver from its devices, and off its bus."""
    k.buses.unregister_driver(drv)


@api(since="4.20", sleeps=Sleeps.ALWAYS)
def wait_for_device_probe(k: Kernel) -> None:
    """Wait until the devices whose probe was deferred have been tried again."""
    k.buses.deferred.wait()


def module_driver(driver: Any, register: Callable[[Any], int], unregister: Callable[[Any], object]) -> None:
    """Give the calling module an init that registers ``driver`` and an exit that unregisters it."""
    make_module(sys._getframe(1).f_globals, driver, register, unregister)


def make_module(
    module: dict[str, Any], driver: Any, register: Callable[[Any], int], unregister: Callable[[Any], object]
) -> None:
    """What :func:`module_driver` and its kin do to the globals of a module."""

    def init_module() -> int:
        return register(driver)

    def cleanup_module() -> None:
        unregister(driver)

    module["init_module"], module["cleanup_module"] = init_module, cleanup_module


def DRIVER_ATTR_RO(name: str) -> driver_attribute:
    """Define an attribute of a driver, shown by the caller's ``<name>_show(driver, buf)``."""
    return driver_attribute(name, 0o444, in_scope(f"{name}_show"))


def DRIVER_ATTR_WO(name: str) -> driver_attribute:
    """Define an attribute of a driver, taken by the caller's ``<name>_store(driver, buf, count)``."""
    return driver_attribute(name, 0o200, None, in_scope(f"{name}_store"))


def DRIVER_ATTR_RW(name: str) -> driver_attribute:
    """Define an attribute of a driver with both functions of the caller's."""
    return driver_attribute(name, 0o644, in_scope(f"{name}_show"), in_scope(f"{name}_store"))


__getattr__ = header_getattr(__name__)
__all__ = [
    "DRIVER_ATTR_RO",
    "DRIVER_ATTR_RW",
    "DRIVER_ATTR_WO",
    "device_driver",
    "driver_attribute",
    "driver_register",
    "driver_unregister",
    "module_driver",
    "wait_for_device_probe",
]
