"""Devices that no bus can find, so that somebody has to say where they are (``drivers/base/platform.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from kmock.drivers import core, dd
from kmock.drivers.bus import bus_type
from kmock.drivers.core import device, device_dma_parameters
from kmock.drivers.driver import device_driver
from kmock.kernel.resource import IORESOURCE_IO, IORESOURCE_MEM, IORESOURCE_TYPE_BITS, Resource, adopt, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kmock.machine import Kernel

PLATFORM_DEVID_NONE: Final = -1
PLATFORM_DEVID_AUTO: Final = -2
IORESOURCE_IRQ: Final = 0x400
DMA_BIT_MASK_32: Final = 0xFFFF_FFFF
SIZEOF_PLATFORM_OBJECT: Final = 848


class platform_device:
    """``struct platform_device``; the members are given by keyword."""

    def __init__(
        self,
        *,
        name: str = "",
        id: int = PLATFORM_DEVID_NONE,
        resource: Iterable[Resource] = (),
        num_resources: int | None = None,
        id_entry: Any = None,
    ) -> None:
        self.name = name
        self.id = id
        self.resource = list(resource)
        self.num_resources = len(self.resource) if num_resources is None else num_resources
        self.id_entry = id_entry
        self.id_auto = False
        self.driver_override = ""
        self.dev = device(self)

    def __repr__(self) -> str:
        return f"<platform device {self.dev.name or self.name}>"


class platform_device_id:
    """``struct platform_device_id``."""

    def __init__(self, name: str = "", driver_data: Any = 0) -> None:
        self.name = name
        self.driver_data = driver_data


class platform_device_info:
    """``struct platform_device_info``: what ``platform_device_register_full()`` makes a device of."""

    def __init__(
        self,
        *,
        name: str,
        id: int = PLATFORM_DEVID_NONE,
        parent: device | None = None,
        res: Sequence[Resource] = (),
        num_res: int | None = None,
        data: Any = None,
        size_data: int = 0,
        dma_mask: int = 0,
    ) -> None:
        self.name = name
        self.id = id
        self.parent = parent
        self.res = list(res)[:num_res]
        self.data = data
        self.size_data = size_data
        self.dma_mask = dma_mask


class platform_driver:
    """``struct platform_driver``; the members are given by keyword, ``driver`` as a device_driver or a dict of its members."""

    def __init__(
        self,
        *,
        probe: Callable[[Any], int] | None = None,
        remove: Callable[[Any], Any] | None = None,
        remove_new: Callable[[Any], object] | None = None,
        shutdown: Callable[[Any], object] | None = None,
        driver: device_driver | dict[str, Any] | None = None,
        id_table: Iterable[platform_device_id] | None = None,
        prevent_deferred_probe: bool = False,
    ) -> None:
        self.probe = probe
        self.remove = remove
        self.remove_new = remove_new
        self.shutdown = shutdown
        self.driver = device_driver(**driver) if isinstance(driver, dict) else driver or device_driver()
        self.id_table = list(id_table) if id_table is not None else None
        self.prevent_deferred_probe = prevent_deferred_probe


class PlatformBus:
    """The platform bus of one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.bus = bus_type(
            name="platform", match=self._match, probe=self._probe, remove=self._remove, shutdown=self._shutdown
        )
        self._ids = 0
        self._drivers: dict[device_driver, platform_driver] = {}
        kernel.buses.enter(self.bus)
        self.root = kernel.devices.make_root("platform")

    # -- devices --------------------------------------------------------------------------------------

    def setup(self, pdev: platform_device) -> None:
        """``setup_pdev_dma_masks()`` and what else a device starts with."""
        dev = pdev.dev
        dev.outer = pdev
        dev.dma_parms = device_dma_parameters()
        if not dev.coherent_dma_mask:
            dev.coherent_dma_mask = DMA_BIT_MASK_32
        if dev.dma_mask is None:
            dev.dma_mask = DMA_BIT_MASK_32

    def alloc(self, name: str, id: int) -> platform_device | None:
        """``platform_device_alloc()``: a device with one reference, None if there is no memory."""
        k = self.kernel
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_PLATFORM_OBJECT):
            return None
        return self._new(name, id)

    def _new(self, name: str, id: int) -> platform_device:
        pdev = platform_device(name=name, id=id)
        self.kernel.devices.initialize(pdev.dev)
        pdev.dev.release = lambda _: None
        self.setup(pdev)
        return pdev

    def register(self, pdev: platform_device) -> int:
        """``platform_device_register()``: 0 or -errno."""
        self.kernel.devices.initialize(pdev.dev)
        self.setup(pdev)
        return self.add(pdev)

    def register_full(self, info: platform_device_info) -> platform_device | int:
        """``platform_device_register_full()``: a device, or -errno."""
        pdev = self.alloc(info.name, info.id)
        if pdev is None:
            return -errno.ENOMEM
        pdev.dev.parent = info.parent
        if info.dma_mask:
            pdev.dev.dma_mask = pdev.dev.coherent_dma_mask = info.dma_mask
        pdev.resource = info.res
        pdev.num_resources = len(info.res)
        pdev.dev.platform_data = info.data
        if err := self.add(pdev):
            self.kernel.devices.put(pdev.dev)
            return err
        return pdev

    def add(self, pdev: platform_device) -> int:
        """``platform_device_add()``: name it, claim its resources, and let the bus look for a driver."""
        dev = pdev.dev
        dev.bus = self.bus
        dev.parent = dev.parent or self.root
        dev.init_name = self._name(pdev)
        resources = pdev.resource[: pdev.num_resources]
        claimed: list[Resource] = []
        err = 0
        for n, r in enumerate(resources):
            r.name = r.name or dev.name
            if (tree := self._tree(r)) is not None:
                if adopt(tree, r) is not None:
                    core.printk(self.kernel, dev, f"failed to claim resource {n}: {r!r}")
                    err = -errno.EBUSY
                    break
                claimed.append(r)
        err = err or self.kernel.devices.add(dev)
        if err:
            self._give_up(pdev, claimed)
        return err

    def _name(self, pdev: platform_device) -> str:
        if pdev.id == PLATFORM_DEVID_NONE:
            return pdev.name
        if pdev.id != PLATFORM_DEVID_AUTO:
            return f"{pdev.name}.{pdev.id}"
        pdev.id, pdev.id_auto = self._ids, True
        self._ids += 1
        return f"{pdev.name}.{pdev.id}.auto"

    def _tree(self, r: Resource) -> Resource | None:
        if r.parent is not None:
            return r.parent
        kind = r.flags & IORESOURCE_TYPE_BITS
        trees = self.kernel.resources
        return trees.iomem if kind == IORESOURCE_MEM else trees.ioport if kind == IORESOURCE_IO else None

    def _give_up(self, pdev: platform_device, claimed: list[Resource]) -> None:
        if pdev.id_auto:
            pdev.id, pdev.id_auto = PLATFORM_DEVID_AUTO, False
        for r in reversed(claimed):
            remove(r)

    def delete(self, pdev: platform_device) -> None:
        """``platform_device_del()``."""
        self.kernel.devices.delete(pdev.dev)
        self._give_up(pdev, [r for r in pdev.resource if r.parent is not None])

    def unregister(self, pdev: platform_device) -> None:
        """``platform_device_unregister()``."""
        self.delete(pdev)
        self.kernel.devices.put(pdev.dev)

    def make(self, name: str, resources: Iterable[Resource | tuple[int, int] | int], id: int) -> platform_device:
        """``kernel.platform_device()``: plug a device in; OSError where it can't be."""
        pdev = self._new(name, id)
        pdev.resource = [_resource(r) for r in resources]
        pdev.num_resources = len(pdev.resource)
        self.kernel.devices.plug(pdev.dev, lambda: self.unregister(pdev))
        if err := self.add(pdev):
            del self.kernel.devices.plugged[pdev.dev]
            raise OSError(-err, f"platform device {name} can't be: its name or addresses are taken")
        return pdev

    # -- resources ------------------------------------------------------------------------------------

    def resource(self, pdev: platform_device, kind: int, n: int = 0, name: str = "") -> Resource | None:
        """``platform_get_resource()``: the ``n``-th resource of a type, of those with ``name`` if that is given."""
        found = [
            r
            for r in pdev.resource[: pdev.num_resources]
            if r.flags & IORESOURCE_TYPE_BITS == kind and (not name or r.name == name)
        ]
        return found[n] if n < len(found) else None

    def irq(self, pdev: platform_device, n: int = 0, name: str = "") -> int:
        """``platform_get_irq_optional()``: the line, or -ENXIO."""
        r = self.resource(pdev, IORESOURCE_IRQ, n, name)
        if r is None:
            return -errno.ENXIO
        if not r.start:
            at, by = (452, "__platform_get_irq_byname") if name else (236, "platform_get_irq_optional")
            self.kernel.warn("driver-warning", f"drivers/base/platform.c:{at}", by, "0 is an invalid IRQ number")
            return -errno.EINVAL
        return r.start

    # -- drivers --------------------------------------------------------------------------------------

    def register_driver(self, pdrv: platform_driver) -> int:
        """``platform_driver_register()``."""
        pdrv.driver.bus = self.bus
        self._drivers[pdrv.driver] = pdrv
        return self.kernel.buses.register_driver(pdrv.driver, "platform_driver_unregister")

    def probe_once(self, pdrv: platform_driver, probe: Callable[[Any], int]) -> int:
        """``platform_driver_probe()``: 0, or -ENODEV where no device was bound."""
        pdrv.prevent_deferred_probe = True
        pdrv.driver.suppress_bind_attrs = True
        pdrv.probe = probe
        err = self.register_driver(pdrv)
        # Whatever comes later is not probed: the function may be gone by then.
        pdrv.probe = _probe_fail
        if not err and not self.kernel.buses.drivers[pdrv.driver].devices:
            self.unregister_driver(pdrv)
            return -errno.ENODEV
        return err

    def unregister_driver(self, pdrv: platform_driver) -> None:
        """``platform_driver_unregister()``."""
        self.kernel.buses.unregister_driver(pdrv.driver)

    def _match(self, dev: device, drv: device_driver) -> int:
        pdev: platform_device = dev.outer
        table = self._drivers[drv].id_table
        if pdev.driver_override:
            return pdev.driver_override == drv.name
        if table is None:
            return pdev.name == drv.name
        pdev.id_entry = next((entry for entry in table if entry.name and entry.name == pdev.name), None)
        return pdev.id_entry is not None

    def _probe(self, dev: device) -> int:
        pdrv = self._driver(dev)
        err = int(pdrv.probe(dev.outer) or 0) if pdrv.probe is not None else 0
        if pdrv.prevent_deferred_probe and err == -dd.EPROBE_DEFER:
            core.printk(self.kernel, dev, "probe deferral not supported")
            return -errno.ENXIO
        return err

    def _remove(self, dev: device) -> None:
        pdrv = self._driver(dev)
        if pdrv.remove_new is not None:
            pdrv.remove_new(dev.outer)
        elif pdrv.remove is not None and pdrv.remove(dev.outer):
            core.printk(self.kernel, dev, "remove callback returned a non-zero value. This will be ignored.")

    def _shutdown(self, dev: device) -> None:
        if dev.driver is not None and (shutdown := self._driver(dev).shutdown) is not None:
            shutdown(dev.outer)

    def _driver(self, dev: device) -> platform_driver:
        assert dev.driver is not None
        return self._drivers[dev.driver]


def _resource(r: Resource | tuple[int, int] | int) -> Resource:
    """What a test says of a resource: the thing itself, memory's start and size, or an interrupt line."""
    if isinstance(r, Resource):
        return r
    if isinstance(r, int):
        return Resource(r, r, flags=IORESOURCE_IRQ)
    return Resource(r[0], r[0] + r[1] - 1, flags=IORESOURCE_MEM)


def _probe_fail(pdev: platform_device) -> int:
    return -errno.ENXIO
