"""Mappings, regions, attributes, pools and interrupt lines that a device can own.

(``lib/devres.c``, ``kernel/irq/devres.c``, ``kernel/resource.c``.)
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kmock.drivers import attributes, core
from kmock.drivers.devm_memory import SIZEOF_PAIR, SIZEOF_POINTER, ManagedMemory, held, same, same_address
from kmock.kernel.resource import IORESOURCE_MEM, IORESOURCE_TYPE_BITS
from kmock.lang.ptr import NULL, Ptr
from kmock.mm import memtype
from kmock.mm.gfp import GFP_KERNEL

if TYPE_CHECKING:
    from kmock.drivers.attributes import attribute_group
    from kmock.drivers.core import device
    from kmock.kernel.resource import Resource
    from kmock.mm.genalloc import gen_pool

SIZEOF_REGION_DEVRES: Final = 24


class Line(NamedTuple):
    """``struct irq_devres``."""

    irq: int
    dev_id: Any


class Region(NamedTuple):
    """``struct region_devres``."""

    root: Resource
    start: int
    n: int


class Managed(ManagedMemory):
    """What the devices of one machine may own, beside what drivers define themselves."""

    __slots__ = ()

    # -- registers ------------------------------------------------------------------------------------

    def ioremap(self, dev: device, phys: int, size: int, wanted: int, call: str) -> Ptr:
        """``__devm_ioremap()``: a mapping that goes with the driver, or NULL."""
        k = self.kernel
        node = self._node(dev, self._ioremap_release, SIZEOF_POINTER)
        if node is None:
            return NULL
        cookie = k.ioremap.map(phys, size, wanted, call)
        if not cookie:
            k.devres.free(node)
            return cookie
        self._add(dev, node, cookie)
        held(cookie)
        return cookie

    def iounmap(self, dev: device, cookie: Ptr) -> None:
        """``devm_iounmap()``: unmapped it is whoever owns it."""
        if self.kernel.devres.destroy(dev, self._ioremap_release, same_address, cookie):
            self._not_owned("lib/devres.c:115", "devm_iounmap", int(cookie))
        self.kernel.ioremap.unmap(cookie)

    def _ioremap_release(self, dev: device, res: Ptr) -> None:
        self.kernel.ioremap.unmap(res)

    def ioremap_resource(self, dev: device, res: Resource | None, wanted: int = memtype.UC_MINUS) -> Ptr | int:
        """``__devm_ioremap_resource()``: claim and map a resource; a cookie, -EINVAL, -EBUSY or -ENOMEM."""
        k = self.kernel
        if dev is None:
            k.bug("driver-bug", "lib/devres.c:129")
        if res is None or res.flags & IORESOURCE_TYPE_BITS != IORESOURCE_MEM:
            core.printk(k, dev, "invalid resource")
            return -errno.EINVAL
        name = f"{dev.name} {res.name}" if res.name else dev.name
        if not self.string(dev, name, GFP_KERNEL):
            core.printk(k, dev, f"can't generate pretty name for resource {res!r}")
            return -errno.ENOMEM
        n = res.end - res.start + 1
        if self.request_region(dev, k.resources.iomem, res.start, n, name) is None:
            core.printk(k, dev, f"can't request region for resource {res!r}")
            return -errno.EBUSY
        cookie = self.ioremap(dev, res.start, n, wanted, "devm_ioremap_resource")
        if not cookie:
            core.printk(k, dev, f"ioremap failed for resource {res!r}")
            self.release_region(dev, k.resources.iomem, res.start, n)
            return -errno.ENOMEM
        return cookie

    def request_region(self, dev: device, root: Resource, start: int, n: int, name: str) -> Resource | None:
        """``__devm_request_region()``: claim addresses; None where they are somebody's."""
        k = self.kernel
        node = self._node(dev, self._region_release, SIZEOF_REGION_DEVRES)
        if node is None:
            return None
        region = k.resources.request_region(root, start, n, name)
        if region is None:
            k.devres.free(node)
            return None
        region.phase = "managed"
        self._add(dev, node, Region(root, start, n))
        return region

    def release_region(self, dev: device, root: Resource, start: int, n: int) -> None:
        """``__devm_release_region()``."""
        self.kernel.resources.release_region(root, start, n)
        if self.kernel.devres.destroy(dev, self._region_release, _equal, Region(root, start, n)):
            self._not_owned("kernel/resource.c:1636", "__devm_release_region", (start, n))

    def _region_release(self, dev: device, res: Region) -> None:
        self.kernel.resources.release_region(res.root, res.start, res.n)

    # -- attributes -----------------------------------------------------------------------------------

    def add_group(self, dev: device, group: attribute_group) -> int:
        """``devm_device_add_group()``: 0 or -errno."""
        node = self._node(dev, self._group_release, SIZEOF_POINTER)
        if node is None:
            return -errno.ENOMEM
        where = dev.kobj.sd
        if err := attributes.create_groups(self.kernel, where, dev, [group]) if where is not None else -errno.EINVAL:
            self.kernel.devres.free(node)
            return err
        self._add(dev, node, group)
        return 0

    def _group_release(self, dev: device, res: attribute_group) -> None:
        if dev.kobj.sd is not None:
            attributes.remove_group(self.kernel, dev.kobj.sd, res)

    # -- pools ----------------------------------------------------------------------------------------

    def create_gen_pool(self, dev: device, order: int, name: str) -> gen_pool | int:
        """``devm_gen_pool_create()``: a pool, -EINVAL where the device has one of that name, or -ENOMEM."""
        if self.find_gen_pool(dev, name) is not None:
            return -errno.EINVAL
        pool = self.kernel.genpools.create(order, name)
        if pool is None:
            return -errno.ENOMEM
        if not self.own(dev, self._gen_pool_release, pool, SIZEOF_POINTER):
            self.kernel.genpools.destroy(pool)
            return -errno.ENOMEM
        return pool

    def find_gen_pool(self, dev: device, name: str) -> gen_pool | None:
        """``gen_pool_get()``."""
        node = self.kernel.devres.find(dev, self._gen_pool_release, lambda _, pool, __: pool.name == name)
        found: gen_pool | None = node.res if node is not None else None
        return found

    def _gen_pool_release(self, dev: device, res: gen_pool) -> None:
        self.kernel.genpools.destroy(res)

    # -- interrupt lines ------------------------------------------------------------------------------

    def request_irq(
        self, dev: device, irq: int, handler: Any, thread_fn: Any, flags: int, name: str | None, dev_id: Any
    ) -> int:
        """``devm_request_threaded_irq()``: 0 or -errno."""
        k = self.kernel
        node = self._node(dev, self._irq_release, SIZEOF_PAIR)
        if node is None:
            return -errno.ENOMEM
        if err := k.irqs.request(irq, handler, thread_fn, flags, name or dev.name, dev_id):
            k.devres.free(node)
            return err
        self._add(dev, node, Line(irq, dev_id))
        return 0

    def free_irq(self, dev: device, irq: int, dev_id: Any) -> None:
        """``devm_free_irq()``."""
        if self.kernel.devres.destroy(dev, self._irq_release, _same_line, Line(irq, dev_id)):
            self._not_owned("kernel/irq/devres.c:143", "devm_free_irq", (irq, id(dev_id)))
        self.kernel.irqs.free(irq, dev_id)

    def _irq_release(self, dev: device, res: Line) -> None:
        self.kernel.irqs.free(res.irq, res.dev_id, order="devm-order-hazard")


def _same_line(dev: device, res: Line, data: Line) -> bool:
    return res.irq == data.irq and same(res.dev_id, data.dev_id)


def _equal(dev: device, res: object, data: object) -> bool:
    return res == data
