"""Claiming and mapping a function's windows (``drivers/pci/pci.c``, ``lib/pci_iomap.c``, ``lib/devres.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from kmock.drivers import core
from kmock.hw.pci import BARS
from kmock.kernel.resource import IORESOURCE_IO
from kmock.lang.ptr import NULL, Ptr
from kmock.mm import memtype
from kmock.mm.iomap import PIO_RESERVED
from kmock.sanitizers.object import SCAN_HELD

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.drivers.pci.device import pci_dev
    from kmock.kernel.resource import Resource
    from kmock.machine import Kernel

SIZEOF_TABLE = 8 * BARS
ALL = (1 << BARS) - 1


class Regions:
    """The windows of the functions of one machine."""

    __slots__ = ("kernel",)

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    # -- claiming -------------------------------------------------------------------------------------

    def request(self, pdev: pci_dev, n: int, name: str) -> int:
        """``pci_request_region()``: 0 or -EBUSY."""
        k = self.kernel
        r = pdev.resource[n]
        if not length(r):
            return 0
        region = k.resources.request_region(self._tree(r), r.start, length(r), name)
        if region is None:
            core.printk(k, pdev.dev, f"BAR {n}: can't reserve {r!r}")
            return -errno.EBUSY
        if (managed := k.pci.enable.managed(pdev)) is not None:
            managed.region_mask |= 1 << n
            region.phase = "managed"
        return 0

    def release(self, pdev: pci_dev, n: int) -> None:
        """``pci_release_region()``."""
        k = self.kernel
        r = pdev.resource[n]
        if not length(r):
            return
        k.resources.release_region(self._tree(r), r.start, length(r))
        if (managed := k.pci.enable.managed(pdev)) is not None:
            managed.region_mask &= ~(1 << n)

    def request_selected(self, pdev: pci_dev, bars: int, name: str) -> int:
        """``pci_request_selected_regions()``: all in the mask ``bars`` or none."""
        for n in range(BARS):
            if bars >> n & 1 and (err := self.request(pdev, n, name)):
                self.release_selected(pdev, bars & (1 << n) - 1)
                return err
        return 0

    def release_selected(self, pdev: pci_dev, bars: int) -> None:
        """``pci_release_selected_regions()``."""
        for n in range(BARS):
            if bars >> n & 1:
                self.release(pdev, n)

    def _tree(self, r: Resource) -> Resource:
        trees = self.kernel.resources
        return trees.ioport if r.flags & IORESOURCE_IO else trees.iomem

    # -- mapping --------------------------------------------------------------------------------------

    def map(self, pdev: pci_dev, n: int, offset: int, limit: int, wanted: int = memtype.UC_MINUS) -> Ptr:
        """``pci_iomap_range()``: map a BAR from ``offset`` on, at most ``limit`` bytes unless that is 0."""
        k = self.kernel
        r = pdev.resource[n] if 0 <= n < BARS else None
        if r is None or length(r) <= offset:
            return NULL
        size = min(length(r) - offset, limit or length(r))
        if r.flags & IORESOURCE_IO:
            return k.io_ports.map(r.start + offset, size)
        return k.ioremap.map(r.start + offset, size, wanted, "pci_iomap")

    def unmap(self, cookie: int) -> None:
        """``pci_iounmap()``: of ports there is nothing to undo."""
        if int(cookie) >= PIO_RESERVED:
            self.kernel.ioremap.unmap(cookie)

    # -- managed --------------------------------------------------------------------------------------

    def table(self, pdev: pci_dev) -> list[Ptr] | None:
        """``pcim_iomap_table()``: the managed mappings by BAR; None if there is no memory for it."""
        k = self.kernel
        node = k.devres.find(pdev.dev, self._pcim_iomap_release)
        if node is None:
            if not k.managed.own(pdev.dev, self._pcim_iomap_release, [NULL] * BARS, SIZEOF_TABLE):
                return None
            node = k.devres.find(pdev.dev, self._pcim_iomap_release)
        assert node is not None
        found: list[Ptr] = node.res
        return found

    def map_managed(self, pdev: pci_dev, n: int, limit: int) -> Ptr:
        """``pcim_iomap()``: NULL also where the BAR is mapped already."""
        table = self.table(pdev)
        if table is None or table[n]:
            return NULL
        cookie = table[n] = self.map(pdev, n, 0, limit)
        if cookie and cookie.origin is not None:
            cookie.origin.scan |= SCAN_HELD
        return cookie

    def unmap_managed(self, pdev: pci_dev, cookie: int) -> None:
        """``pcim_iounmap()``."""
        k = self.kernel
        self.unmap(cookie)
        table = self.table(pdev) or []
        mine = next((n for n, one in enumerate(table) if one and one == cookie), None)
        if mine is None:
            k.warn("devm-unmanaged-release", "lib/devres.c:411", "pcim_iounmap", key=int(cookie))
        else:
            table[mine] = NULL

    def map_regions(self, pdev: pci_dev, mask: int, name: str) -> int:
        """``pcim_iomap_regions()``: claim and map the BARs in ``mask``; all or none."""
        table = self.table(pdev)
        if table is None:
            return -errno.ENOMEM
        for n in range(BARS):
            if mask >> n & 1 and (err := self._claim_and_map(pdev, n, name)):
                self.unmap_regions(pdev, mask & (1 << n) - 1)
                return err
        return 0

    def _claim_and_map(self, pdev: pci_dev, n: int, name: str) -> int:
        if not length(pdev.resource[n]):
            return -errno.EINVAL
        if err := self.request(pdev, n, name):
            return err
        if not self.map_managed(pdev, n, 0):
            self.release(pdev, n)
            return -errno.ENOMEM
        return 0

    def unmap_regions(self, pdev: pci_dev, mask: int) -> None:
        """``pcim_iounmap_regions()``."""
        table = self.table(pdev) or []
        for n, cookie in enumerate(list(table)):
            if mask >> n & 1:
                self.unmap_managed(pdev, cookie)
                self.release(pdev, n)

    def _pcim_iomap_release(self, dev: device, res: Any) -> None:
        for cookie in res:
            if cookie:
                self.unmap(cookie)


def length(r: Resource) -> int:
    """``pci_resource_len()``: 0 for a BAR that isn't there."""
    return r.end - r.start + 1 if r.end else 0
