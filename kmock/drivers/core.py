"""Devices: their names, references and places (``drivers/base/core.c``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmock.drivers import kobject as _kobject
from kmock.drivers.driver import device_driver
from kmock.drivers.kobject import kobj_type, kobject
from kmock.mm.slub import NUMA_NO_NODE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from kmock.drivers.devres import Node
    from kmock.machine import Kernel


@dataclass(eq=False, slots=True)
class device_dma_parameters:
    """``struct device_dma_parameters``: 0 stands for the defaults, 64 KiB and no boundary."""

    max_segment_size: int = 0
    min_align_mask: int = 0
    segment_boundary_mask: int = 0


class device:
    """``struct device``. ``device()`` is one that C embeds in a structure of the driver.

    ``dma_mask`` is what C's pointer points to, None where that is NULL. C's ``class`` is :attr:`class_` here.
    """

    __slots__ = (
        "__weakref__",
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
        "parent",
        "platform_data",
        "release",
        "type",
    )

    C_SIZE = 744

    def __init__(self) -> None:
        self.kobj = kobject(self)
        self.parent: device | None = None
        self.init_name = ""
        self.type: Any = None
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
        self.devres_head: list[Node] | None = None
        """The managed resources, the youngest last; None until ``device_initialize()``."""

    @property
    def name(self) -> str:
        """``dev_name()``."""
        return self.init_name or self.kobj.name

    def __repr__(self) -> str:
        return f"<device {self.name}>"


def driver_string(dev: device) -> str:
    """``dev_driver_string()``: the driver's name, else the bus', else the class'."""
    for named in (dev.driver, dev.bus, dev.class_):
        if named is not None and named.name:
            return str(named.name)
    return ""


class Devices:
    """The devices of one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.ktype = kobj_type(release=lambda kobj: self._release(kobj.holder))
        self.simple: list[device] = []
        """What ``kernel.device()`` made and is still bound."""
        self.unbound: list[Callable[[device], object]] = []
        """Called with each device that lost its driver, after its managed resources went (BUS_NOTIFY_UNBOUND_DRIVER)."""

    # -- what the test makes ------------------------------------------------------------------------

    def make_simple(self, name: str, dma_mask: int | None) -> device:
        """``kernel.device()``: a device that is bound to a driver of its own name from now on."""
        dev = device()
        dev.release = lambda _: None
        self.initialize(dev)
        dev.kobj.name = name
        dev.dma_mask = dma_mask
        dev.coherent_dma_mask = dma_mask or 0
        dev.dma_parms = device_dma_parameters()
        dev.driver = device_driver(name=name)
        self.simple.append(dev)
        return dev

    def unbind_simple(self, dev: device) -> None:
        """The devices of ``kernel.device()`` count as unbound once their managed resources are released."""
        if dev in self.simple:
            self.simple.remove(dev)
            self.forget_driver(dev)
            _kobject.put(self.kernel, dev.kobj)

    # -- life -----------------------------------------------------------------------------------------

    def initialize(self, dev: device) -> None:
        """``device_initialize()``: the first reference, which ``put_device()`` gives back."""
        dev.kobj.holder = dev
        _kobject.init(self.kernel, dev.kobj, self.ktype)
        dev.devres_head = []

    def forget_driver(self, dev: device) -> None:
        """``device_unbind_cleanup()`` after the managed resources went, and the word to who wants to know."""
        dev.driver_data = None
        for heard in self.unbound:
            heard(dev)
        dev.driver = None

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

    def halt(self, spare: Collection[object]) -> None:
        """The test, or the machine, ends: what ``kernel.device()`` made is unbound, the youngest first."""
        for dev in self.simple[::-1]:
            if dev not in spare:
                self.kernel.devres.release_all(dev)
