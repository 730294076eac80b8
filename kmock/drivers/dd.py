"""Binding drivers to devices, and letting them go (``drivers/base/dd.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from kmock.drivers import attributes
from kmock.drivers.devres import Node
from kmock.kernel.work import system_unbound_wq, work_struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.drivers.core import device
    from kmock.drivers.driver import device_driver
    from kmock.machine import Kernel

EPROBE_DEFER: Final = 517
_QUIET: Final = (0, -EPROBE_DEFER, -errno.ENODEV, -errno.ENXIO)
"""What a probe may return without a word in the log."""


class Deferred:
    """Devices whose probe said that it is too early; each success of another one's is a reason to try again."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.pending: list[device] = []
        self.active: list[device] = []
        self.triggers = 0
        self._work: work_struct | None = None

    def add(self, dev: device) -> None:
        """``driver_deferred_probe_add()``."""
        if dev not in self.pending and dev not in self.active:
            self.pending.append(dev)

    def remove(self, dev: device) -> None:
        """``driver_deferred_probe_del()``."""
        for waiting in (self.pending, self.active):
            if dev in waiting:
                waiting.remove(dev)

    def trigger(self) -> None:
        """``driver_deferred_probe_trigger()``: have a worker try all of them again."""
        self.triggers += 1
        if not self.pending:
            return
        self.active += self.pending
        self.pending.clear()
        if self._work is None:
            self._work = work_struct(lambda _: self._retry())
        self.kernel.workqueues.queue(system_unbound_wq, self._work)

    def wait(self) -> None:
        """``wait_for_device_probe()``."""
        if self._work is not None:
            self.kernel.workqueues.flush(self._work)

    def _retry(self) -> None:
        """``deferred_probe_work_func()``."""
        while self.active:
            attach(self.kernel, self.active.pop(0))


# -- looking for each other -----------------------------------------------------------------------


def attach(k: Kernel, dev: device) -> int:
    """``device_attach()``: offer a device to the drivers of its bus; 1 if one took it, else 0 or -errno."""
    if dev.driver is not None:
        return 1
    if dev.p is None or dev.p.dead or dev.bus is None:
        return 0
    for drv in list(k.buses.of(dev.bus).drivers):
        matched = match(k, drv, dev)
        if matched < 0:
            return matched
        if matched and (err := probe_device(k, drv, dev)) <= 0:
            return err or 1
    return 0


def driver_attach(k: Kernel, drv: device_driver) -> None:
    """``driver_attach()``: offer a driver the devices of its bus."""
    for dev in list(k.buses.of(drv.bus).devices):
        if match(k, drv, dev) > 0:
            probe_device(k, drv, dev)


def match(k: Kernel, drv: device_driver, dev: device) -> int:
    """``driver_match_device()``: positive if the driver may be for the device; a device may have to wait to know."""
    matched = int(drv.bus.match(dev, drv)) if drv.bus.match is not None else 1
    if matched == -EPROBE_DEFER:
        k.buses.deferred.add(dev)
    return matched


# -- probing --------------------------------------------------------------------------------------


def probe_device(k: Kernel, drv: device_driver, dev: device) -> int:
    """``driver_probe_device()``: 0 if bound, a positive errno if the driver refused, a negative one otherwise."""
    if dev.p is None or dev.p.dead:
        return -errno.ENODEV
    if dev.driver is not None:
        return -errno.EBUSY
    deferred = k.buses.deferred
    triggers = deferred.triggers
    err = really_probe(k, drv, dev)
    if err in {EPROBE_DEFER, -EPROBE_DEFER}:
        deferred.add(dev)
        if triggers != deferred.triggers:
            deferred.trigger()
    return err


def really_probe(k: Kernel, drv: device_driver, dev: device) -> int:
    """``really_probe()``: 0, or the probe's errno made positive, or -EBUSY where somebody used the device before."""
    if dev.devres_head:
        return _used_before(k, dev)
    assert dev.p is not None
    dev.driver = drv
    since = k.seq
    before = k.leftovers.registered_by(_call_probe.__code__)
    links(k, dev, there=True)
    err = _call_probe(k, drv, dev)
    if err:
        links(k, dev, there=False)
        unbind_cleanup(k, dev)
        tell_unbound(k, dev)
        k.leftovers.of_probe(dev, before, _call_probe.__code__)
        k.leftovers.call_failed(k.current, since)
        return -err
    dev.p.seqs = since, k.seq
    dev.p.task = k.current
    made = k.leftovers.registered_by(_call_probe.__code__)
    dev.p.made = tuple(stack for stack in made if not any(stack is b for b in before))
    if dev.kobj.sd is not None:
        attributes.create_groups(k, dev.kobj.sd, dev, drv.dev_groups)
    bound(k, dev)
    return 0


def _used_before(k: Kernel, dev: device) -> int:
    present = [node for node in dev.devres_head or () if isinstance(node, Node)]
    k.report(
        "devm-before-probe",
        f"{dev.bus.name} {dev.name}: Resources present before probing",
        lines=[f"{len(present)} managed resource(s)"],
        stacks={"access": present[0].memory.alloc_stack} if present else None,
        key=(dev, "before probe"),
    )
    return -errno.EBUSY


def _call_probe(k: Kernel, drv: device_driver, dev: device) -> int:
    probe = dev.bus.probe or drv.probe
    with k.modules.probing():
        err = int((probe(dev) if probe is not None else 0) or 0)
    if err not in _QUIET:
        k.log.write(f"{drv.name}: probe of {dev.name} failed with error {err}")
    return err


def bound(k: Kernel, dev: device) -> None:
    """``driver_bound()``."""
    assert dev.p is not None
    assert dev.driver is not None
    dev.p.bound = True
    k.buses.drivers[dev.driver].devices.append(dev)
    k.buses.deferred.remove(dev)
    k.buses.deferred.trigger()


def links(k: Kernel, dev: device, *, there: bool) -> None:
    """``driver_sysfs_add()``, ``driver_sysfs_remove()``: the links between a driver's directory and its device's."""
    here = dev.kobj.sd
    known = k.buses.drivers.get(dev.driver) if dev.driver is not None else None
    if here is None or known is None:
        return
    home = known.directory
    if there:
        k.sysfs.create_link(home, here, dev.name)
        k.sysfs.create_link(here, home, "driver")
    else:
        k.sysfs.remove(home, dev.name)
        k.sysfs.remove(here, "driver")


# -- letting go -----------------------------------------------------------------------------------


def release_driver(k: Kernel, dev: device) -> None:
    """``device_release_driver()``: remove, managed resources, and what is left is told."""
    drv = dev.driver
    if drv is None or dev.p is None or not dev.p.bound:
        return
    dev.p.bound = False
    links(k, dev, there=False)
    if dev.kobj.sd is not None:
        attributes.remove_groups(k, dev.kobj.sd, drv.dev_groups)
    remove = dev.bus.remove if dev.bus is not None and dev.bus.remove is not None else drv.remove
    if remove is not None:
        _call_remove(k, dev, remove)
    unbind_cleanup(k, dev)
    if drv in k.buses.drivers:
        k.buses.drivers[drv].devices.remove(dev)
    tell_unbound(k, dev)
    k.leftovers.of_binding(dev)


def _call_remove(k: Kernel, dev: device, remove: Callable[[device], object]) -> None:
    with k.modules.life.removing(_call_remove.__code__):
        remove(dev)


def unbind_cleanup(k: Kernel, dev: device) -> None:
    """``device_unbind_cleanup()``."""
    k.devres.release_all(dev)
    dev.driver = None
    dev.driver_data = None


def tell_unbound(k: Kernel, dev: device) -> None:
    """``BUS_NOTIFY_UNBOUND_DRIVER``."""
    for heard in k.devices.unbound:
        heard(dev)


def driver_detach(k: Kernel, drv: device_driver) -> None:
    """``driver_detach()``: take the driver from all its devices, the youngest first."""
    devices = k.buses.drivers[drv].devices
    while devices:
        release_driver(k, devices[-1])


def device_driver_attach(k: Kernel, drv: device_driver, dev: device) -> int:
    """``device_driver_attach()``: bind exactly these two; 0 or -errno, -EAGAIN for a deferred probe."""
    err = -abs(probe_device(k, drv, dev))
    return -errno.EAGAIN if err == -EPROBE_DEFER else err
