"""The PCI bus: what is plugged in, who drives it, and its life (``drivers/pci/pci-driver.c``, ``drivers/pci/probe.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.drivers import core
from kmock.drivers.bus import bus_type
from kmock.drivers.pci.device import pci_dev, pci_device_id, pci_driver
from kmock.drivers.pci.enable import Enable
from kmock.drivers.pci.msi import Msi
from kmock.drivers.pci.regions import Regions
from kmock.drivers.pci.wires import PciWires
from kmock.hw import pci as hw
from kmock.hw.device import DeviceModel
from kmock.hw.pci import BARS, Bar, ConfigSpace
from kmock.kernel.resource import IORESOURCE_IO, IORESOURCE_MEM, Resource, insert, remove
from kmock.sanitizers.leftovers import Registration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.drivers.core import device
    from kmock.drivers.driver import device_driver
    from kmock.hw.mmio import Bus, Model
    from kmock.machine import Kernel

IORESOURCE_PREFETCH: Final = 0x2000
MEMORY: Final = (0xF800_0000, 0xFEC0_0000)
"""Where memory BARs are put."""
ABOVE: Final = (1 << 38, 1 << 40)
"""Where those are put that do not fit."""
PORTS: Final = (0xC000, 0x1_0000)
FIRST_SLOT: Final = 3
FIRST_LINE: Final = 16


class Pci:
    """The PCI bus of one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.bus = bus_type(
            name="pci", match=self._match, probe=self._probe, remove=self._remove, shutdown=self._shutdown
        )
        self.devices: list[pci_dev] = []
        self.enable = Enable(kernel)
        self.regions = Regions(kernel)
        self.msi = Msi(kernel)
        self._slot = FIRST_SLOT
        self._drivers: dict[device_driver, pci_driver] = {}
        kernel.buses.enter(self.bus)
        self.root = kernel.devices.make_root("pci0000:00")

    # -- plugging in ----------------------------------------------------------------------------------

    def make(self, config: ConfigSpace, model: Model | None) -> pci_dev:
        """``kernel.pci_device()``: plug a function in; a driver that is there is offered it."""
        k = self.kernel
        slot, self._slot = self._slot, self._slot + 1
        config.put(hw.PCI_INTERRUPT_PIN, 1, 1)
        config.put(hw.PCI_INTERRUPT_LINE, 1, FIRST_LINE + slot)
        pdev = pci_dev(config, slot, model if isinstance(model, DeviceModel) else None)
        for n, bar in enumerate(config.bars):
            if bar is not None:
                self._assign(pdev, n, bar, model)
        config.changed = lambda: self._decode(pdev)
        self._decode(pdev)
        if pdev.model is not None:
            pdev.model.wires = PciWires(k, pdev)
        dev = pdev.dev
        dev.bus = self.bus
        dev.parent = self.root
        dev.init_name = pdev.name
        dev.release = lambda _: None
        self.devices.append(pdev)
        k.devices.plug(dev, lambda: self.unplug(pdev))
        if err := k.devices.register(dev):
            raise OSError(-err, f"PCI device {pdev.name} can't be")
        self._show(pdev)
        return pdev

    def _assign(self, pdev: pci_dev, n: int, bar: Bar, model: Model | None) -> None:
        """Give a BAR its addresses, and put what stands behind it there."""
        k = self.kernel
        tree, kind = (k.resources.ioport, IORESOURCE_IO) if bar.io else (k.resources.iomem, IORESOURCE_MEM)
        r = pdev.resource[n]
        r.flags = kind | IORESOURCE_PREFETCH * bar.prefetch
        r.name = pdev.name
        r.start = self._place(tree, bar)
        r.end = r.start + bar.size - 1
        insert(tree, r)
        pdev.config.write(hw.PCI_BASE_ADDRESS_0 + 4 * n, 4, r.start | bar.flags)
        behind = pdev.model.bar(n) if pdev.model is not None else model
        pdev.windows[n] = self._answers(bar).add(r.start, bar.size, behind)

    def _place(self, tree: Resource, bar: Bar) -> int:
        if bar.at is not None:
            return bar.at
        for first, end in (PORTS,) if bar.io else (MEMORY, ABOVE):
            at = -(-first // bar.size) * bar.size
            while at + bar.size <= end:
                taken = any(r.overlaps(at, at + bar.size - 1) for r in tree.children)
                if not taken and self._answers(bar).overlapping(at, at + bar.size) is None:
                    return at
                at += bar.size
        raise ValueError(f"there is no room for a BAR of {bar.size:#x} bytes")

    def _answers(self, bar: Bar) -> Bus:
        """The bus that a window is on: of ports or of memory."""
        return self.kernel.io_ports.bus if bar.io else self.kernel.bus

    def _decode(self, pdev: pci_dev) -> None:
        """Its windows answer as long as the command register says so."""
        for bar, window in zip(pdev.config.bars, pdev.windows, strict=True):
            if bar is not None and window is not None:
                window.power(bool(pdev.config.command & (hw.PCI_COMMAND_IO if bar.io else hw.PCI_COMMAND_MEMORY)))

    def unplug(self, pdev: pci_dev) -> None:
        """``pci_stop_and_remove_bus_device()``: unbind it, then it is gone."""
        k = self.kernel
        if pdev not in self.devices:
            return
        k.devices.delete(pdev.dev)
        self.devices.remove(pdev)
        for window in pdev.windows:
            if window is not None:
                window.pull()
        for r in pdev.resource:
            remove(r)
        if pdev.model is not None:
            pdev.model.wires = None
        k.devices.put(pdev.dev)

    def _show(self, pdev: pci_dev) -> None:
        """The attributes of a function in ``/sys`` (``drivers/pci/pci-sysfs.c``)."""
        here = pdev.dev.kobj.sd
        if here is None:
            return
        create = self.kernel.sysfs.create_file
        for name, value in (
            ("vendor", pdev.vendor),
            ("device", pdev.device),
            ("subsystem_vendor", pdev.subsystem_vendor),
            ("subsystem_device", pdev.subsystem_device),
        ):
            create(here, name, lambda value=value: f"{value:#06x}\n")
        create(here, "revision", lambda: f"{pdev.revision:#04x}\n")
        create(here, "class", lambda: f"{pdev.class_:#08x}\n")
        create(here, "irq", lambda: f"{(pdev.vectors or [pdev.irq])[0]}\n")
        create(here, "enable", lambda: f"{pdev.enable_cnt}\n")
        create(here, "resource", lambda: _resource_text(pdev))
        create(here, "remove", None, lambda text: self.unplug(pdev) if text.strip() == "1" else None)

    # -- drivers --------------------------------------------------------------------------------------

    def register_driver(self, drv: pci_driver) -> int:
        """``pci_register_driver()``."""
        drv.driver.name = drv.name
        drv.driver.bus = self.bus
        self._drivers[drv.driver] = drv
        return self.kernel.buses.register_driver(drv.driver, "pci_unregister_driver")

    def unregister_driver(self, drv: pci_driver) -> None:
        """``pci_unregister_driver()``."""
        self.kernel.buses.unregister_driver(drv.driver)

    def id_of(self, drv: pci_driver, pdev: pci_dev) -> pci_device_id | None:
        """``pci_match_device()``: the entry of a driver's table that a function matches."""
        for entry in drv.id_table:
            if entry.ends:
                return None
            if entry.matches(pdev):
                return entry
        return None

    def _match(self, dev: device, drv: device_driver) -> int:
        return self.id_of(self._drivers[drv], dev.outer) is not None

    def _probe(self, dev: device) -> int:
        """``pci_device_probe()``."""
        pdev: pci_dev = dev.outer
        assert dev.driver is not None
        drv = self._drivers[dev.driver]
        found = self.id_of(drv, pdev)
        if drv.probe is None:
            return 0
        pdev.driver = drv
        err = int(drv.probe(pdev, found) or 0)
        if err < 0:
            pdev.driver = None
            return err
        if err:
            core.printk(self.kernel, dev, f"Driver probe function unexpectedly returned {err}")
        return 0

    def _remove(self, dev: device) -> None:
        pdev: pci_dev = dev.outer
        drv, pdev.driver = pdev.driver, None
        if drv is not None and drv.remove is not None:
            drv.remove(pdev)

    def _shutdown(self, dev: device) -> None:
        drv = dev.outer.driver
        if drv is not None and drv.shutdown is not None:
            drv.shutdown(dev.outer)

    # -- configuration --------------------------------------------------------------------------------

    def read_config(self, pdev: pci_dev, at: int, n: int) -> tuple[int, int]:
        """``pci_read_config_*()``: PCIBIOS_BAD_REGISTER_NUMBER where the address is not aligned; all ones if it is gone."""
        ones = (1 << 8 * n) - 1
        if at % n or not 0 <= at < hw.SIZE:
            return PCIBIOS_BAD_REGISTER_NUMBER, ones
        return 0, pdev.config.get(at, n) if pdev in self.devices else ones

    def write_config(self, pdev: pci_dev, at: int, n: int, value: int) -> int:
        """``pci_write_config_*()``."""
        if at % n or not 0 <= at < hw.SIZE:
            return PCIBIOS_BAD_REGISTER_NUMBER
        pdev.config.write(at, n, value)
        return 0

    # -- at the end -----------------------------------------------------------------------------------

    def registrations(self) -> Iterator[Registration]:
        """What drivers have turned on and not off again."""
        for pdev in self.devices:
            key = (pdev, "on", pdev.enabled_at[0] if pdev.enabled_at else pdev.master_at)
            if pdev.vectors:
                what = f"{len(pdev.vectors)} interrupt vector(s) of {pdev.name}"
                yield Registration(what, pdev.vectors_at, "pci_free_irq_vectors", "leak-at-remove")
            if pdev.is_busmaster:
                what = f"bus mastering of {pdev.name}"
                undo = "pci_disable_device" if pdev.enable_cnt else "pci_clear_master"
                yield Registration(what, pdev.master_at, undo, "stop-before-release", key=key)
            for stack in pdev.enabled_at:
                yield Registration(f"enabling of {pdev.name}", stack, "pci_disable_device", "leak-at-remove", key=key)


PCIBIOS_BAD_REGISTER_NUMBER: Final = 0x87


def bars_of(bars: Any) -> list[Bar | None]:
    """The BARs that a test asks for, by number or in order: sizes, addresses and sizes, or :class:`Bar`; 0 is none."""
    wanted = bars if hasattr(bars, "keys") else dict(enumerate(bars))
    made: list[Bar | None] = [None] * BARS
    for n in list(wanted):
        size = wanted[n]
        if size and not 0 <= n < BARS:
            raise ValueError(f"a PCI function has BARs 0 to {BARS - 1}, not {n}")
        if size:
            made[n] = (
                size if isinstance(size, Bar) else Bar(size[1], at=size[0]) if isinstance(size, tuple) else Bar(size)
            )
    return made


def _resource_text(pdev: pci_dev) -> str:
    return "".join(f"{r.start:#018x} {r.end:#018x} {r.flags:#018x}\n" for r in pdev.resource)
