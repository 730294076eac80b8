"""PCI: configuration space, windows, bus mastering, messages, and models that act in their own time."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from kmock.hw.device import DeviceModel, Unplugged
from kmock.hw.mmio import Register
from kmock.hw.pci import Bar
from kmock.linux.device import device_release_driver, devres_release_all
from kmock.linux.dma_mapping import dma_alloc_coherent, dma_free_coherent
from kmock.linux.interrupt import IRQ_HANDLED, devm_request_irq, free_irq, request_irq
from kmock.linux.io import inl, ioread32, readl, readq, writel, writeq
from kmock.linux.ioport import IORESOURCE_IO, IORESOURCE_MEM
from kmock.linux.pci import (
    PCI_ANY_ID,
    PCI_BASE_ADDRESS_0,
    PCI_CAP_ID_MSI,
    PCI_CAP_ID_MSIX,
    PCI_COMMAND,
    PCI_COMMAND_INTX_DISABLE,
    PCI_COMMAND_MASTER,
    PCI_COMMAND_MEMORY,
    PCI_DEVFN,
    PCI_DEVICE,
    PCI_DEVICE_CLASS,
    PCI_DEVICE_SUB,
    PCI_FUNC,
    PCI_INTERRUPT_LINE,
    PCI_IRQ_ALL_TYPES,
    PCI_IRQ_LEGACY,
    PCI_IRQ_MSI,
    PCI_IRQ_MSIX,
    PCI_SLOT,
    PCI_VENDOR_ID,
    PCIBIOS_BAD_REGISTER_NUMBER,
    pci_alloc_irq_vectors,
    pci_clear_master,
    pci_dev_get,
    pci_dev_put,
    pci_device_id,
    pci_disable_device,
    pci_disable_msi,
    pci_driver,
    pci_enable_device,
    pci_enable_device_mem,
    pci_enable_msi,
    pci_find_capability,
    pci_free_irq_vectors,
    pci_get_device,
    pci_get_drvdata,
    pci_intx,
    pci_iomap,
    pci_iomap_range,
    pci_iomap_wc,
    pci_ioremap_bar,
    pci_iounmap,
    pci_irq_vector,
    pci_is_enabled,
    pci_msi_vec_count,
    pci_msix_vec_count,
    pci_name,
    pci_read_config_byte,
    pci_read_config_dword,
    pci_read_config_word,
    pci_register_driver,
    pci_release_region,
    pci_release_regions,
    pci_release_selected_regions,
    pci_request_region,
    pci_request_regions,
    pci_request_selected_regions,
    pci_resource_end,
    pci_resource_flags,
    pci_resource_len,
    pci_resource_start,
    pci_select_bars,
    pci_set_drvdata,
    pci_set_master,
    pci_stop_and_remove_bus_device,
    pci_unregister_driver,
    pci_write_config_byte,
    pci_write_config_dword,
    pci_write_config_word,
    pcim_enable_device,
    pcim_iomap,
    pcim_iomap_regions,
    pcim_iomap_table,
    pcim_iounmap,
    pcim_iounmap_regions,
    pcim_pin_device,
    to_pci_dev,
)
from kmock.linux.slab import GFP_KERNEL
from kmock.linux.types import NULL

if TYPE_CHECKING:
    from kmock import Kernel

VENDOR, DEVICE = 0x1AF4, 0x1000


class Copier(DeviceModel):
    """Writes to memory the value of its first register, then says so."""

    msi = 2
    msix = 4
    value = Register(0x00)
    where = Register(0x08, width=8)

    @where.written
    def go(self, value):
        self.after(1000, self.done)

    def done(self):
        self.dma_write(self.where, self.value.to_bytes(4, "little"))
        self.raise_irq(1)


@pytest.fixture
def pdev(kernel: Kernel):
    return kernel.pci_device(VENDOR, DEVICE, {0: 0x1000, 2: Bar(0x100, prefetch=True), 4: Bar(0x20, io=True)}, Copier())


class TestConfig:
    def test_registers(self, kernel: Kernel, pdev) -> None:
        assert pci_read_config_word(pdev, PCI_VENDOR_ID) == (0, VENDOR)
        assert pci_read_config_dword(pdev, PCI_VENDOR_ID) == (0, DEVICE << 16 | VENDOR)
        assert pci_read_config_byte(pdev, PCI_INTERRUPT_LINE) == (0, pdev.irq)
        assert pci_read_config_word(pdev, 1) == (PCIBIOS_BAD_REGISTER_NUMBER, 0xFFFF)
        assert pci_write_config_word(pdev, PCI_VENDOR_ID, 0) == 0
        assert pci_read_config_word(pdev, PCI_VENDOR_ID) == (0, VENDOR)
        assert pci_write_config_byte(pdev, PCI_INTERRUPT_LINE, 5) == 0
        assert pci_write_config_dword(pdev, 2, 0) == PCIBIOS_BAD_REGISTER_NUMBER

    def test_a_window_tells_its_size(self, kernel: Kernel, pdev) -> None:
        _, was = pci_read_config_dword(pdev, PCI_BASE_ADDRESS_0)
        pci_write_config_dword(pdev, PCI_BASE_ADDRESS_0, 0xFFFF_FFFF)
        assert pci_read_config_dword(pdev, PCI_BASE_ADDRESS_0) == (0, 0xFFFF_F000)
        pci_write_config_dword(pdev, PCI_BASE_ADDRESS_0, was)
        assert was == pci_resource_start(pdev, 0)

    def test_capabilities(self, kernel: Kernel, pdev) -> None:
        assert pci_find_capability(pdev, PCI_CAP_ID_MSI) == 0x40
        assert pci_find_capability(pdev, PCI_CAP_ID_MSIX) > 0x40
        assert pci_find_capability(pdev, 0x10) == 0
        assert (pci_msi_vec_count(pdev), pci_msix_vec_count(pdev)) == (2, 4)
        plain = kernel.pci_device(VENDOR, 2)
        assert (pci_msi_vec_count(plain), pci_msix_vec_count(plain)) == (1, -errno.EINVAL)

    def test_numbers(self, kernel: Kernel, pdev) -> None:
        assert pci_name(pdev) == f"0000:00:{PCI_SLOT(pdev.devfn):02x}.{PCI_FUNC(pdev.devfn)}"
        assert PCI_DEVFN(3, 1) == 0x19
        assert to_pci_dev(pdev.dev) is pdev

    def test_in_sys(self, kernel: Kernel, pdev) -> None:
        home = f"/sys/bus/pci/devices/{pdev.name}"
        assert kernel.read_file(f"{home}/vendor") == "0x1af4\n"
        assert kernel.read_file(f"/sys/devices/pci0000:00/{pdev.name}/device") == "0x1000\n"
        assert kernel.read_file(f"{home}/irq") == f"{pdev.irq}\n"
        assert kernel.read_file(f"{home}/enable") == "0\n"
        start = pci_resource_start(pdev, 0)
        assert kernel.read_file(f"{home}/resource").startswith(f"{start:#018x} {start + 0xFFF:#018x} ")
        kernel.write_file(f"{home}/remove", "1")
        with pytest.raises(FileNotFoundError):
            kernel.read_file(f"{home}/vendor")


class TestMatching:
    @pytest.mark.parametrize(
        ("entry", "wanted"),
        [
            (PCI_DEVICE(VENDOR, DEVICE), True),
            (PCI_DEVICE(VENDOR, DEVICE + 1), False),
            (PCI_DEVICE(VENDOR, PCI_ANY_ID), True),
            (PCI_DEVICE_SUB(VENDOR, DEVICE, 1, 1), False),
            (PCI_DEVICE_SUB(VENDOR, DEVICE, 0, 0), True),
            (PCI_DEVICE_CLASS(0x020000, 0xFF0000), False),
            (PCI_DEVICE_CLASS(0, 0xFF0000), True),
        ],
    )
    def test_tables(self, kernel: Kernel, pdev, entry, wanted) -> None:
        seen: list[object] = []
        table = [entry, pci_device_id(), PCI_DEVICE(PCI_ANY_ID, PCI_ANY_ID)]
        drv = pci_driver(name="drv", id_table=table, probe=lambda pdev, id: seen.append(id) or 0)
        assert pci_register_driver(drv) == 0
        assert seen == ([entry] if wanted else [])
        pci_unregister_driver(drv)

    def test_life(self, kernel: Kernel, pdev, dmesg) -> None:
        log: list[str] = []

        def probe(pdev, id):
            log.append("probe")
            pci_set_drvdata(pdev, "mine")
            return 7

        drv = pci_driver(
            name="drv",
            id_table=[PCI_DEVICE(VENDOR, DEVICE)],
            probe=probe,
            remove=lambda pdev: log.append(f"remove {pci_get_drvdata(pdev)}"),
            shutdown=lambda pdev: log.append("shutdown"),
        )
        pci_register_driver(drv)
        assert "Driver probe function unexpectedly returned 7" in dmesg
        kernel.pci.bus.shutdown(pdev.dev)
        pci_stop_and_remove_bus_device(pdev)
        assert log == ["probe", "shutdown", "remove mine"]
        assert pci_read_config_word(pdev, PCI_VENDOR_ID) == (0, 0xFFFF)

    def test_a_probe_that_fails(self, kernel: Kernel, pdev, dmesg) -> None:
        drv = pci_driver(name="drv", id_table=[PCI_DEVICE(VENDOR, DEVICE)], probe=lambda pdev, id: -errno.EIO)
        pci_register_driver(drv)
        assert pdev.driver is None
        assert f"drv: probe of {pdev.name} failed with error -5" in dmesg

    def test_looking_for_devices(self, kernel: Kernel, pdev) -> None:
        other = kernel.pci_device(VENDOR, DEVICE)
        found = pci_get_device(VENDOR, DEVICE, None)
        assert found is pdev
        found = pci_get_device(VENDOR, PCI_ANY_ID, found)
        assert found is other
        assert pci_get_device(VENDOR, PCI_ANY_ID, found) is None
        assert pci_get_device(0x8086, PCI_ANY_ID, None) is None
        assert pci_dev_get(other) is other
        pci_dev_put(other)
        assert pci_dev_get(None) is None


class TestWindows:
    def test_answer_once_enabled(self, kernel: Kernel, pdev) -> None:
        regs = pci_iomap(pdev, 0, 0)
        with kernel.expect("mmio-after-disable"):
            assert readl(regs) == 0xFFFF_FFFF
        assert pci_enable_device(pdev) == 0
        assert pci_enable_device_mem(pdev) == 0
        writel(5, regs)
        assert readl(regs) == pdev.model.value == 5
        assert pci_read_config_word(pdev, PCI_COMMAND)[1] & PCI_COMMAND_MEMORY
        assert pci_is_enabled(pdev)
        pci_disable_device(pdev)
        assert pci_is_enabled(pdev)
        pci_disable_device(pdev)
        with kernel.expect("double-cleanup-on-error") as found:
            pci_disable_device(pdev)
        assert "disabling already-disabled device" in found[0].headline
        pci_iounmap(pdev, regs)
        pci_iounmap(pdev, NULL)

    def test_what_they_are(self, kernel: Kernel, pdev) -> None:
        assert pci_resource_len(pdev, 0) == 0x1000
        assert pci_resource_end(pdev, 0) - pci_resource_start(pdev, 0) == 0xFFF
        assert pci_resource_len(pdev, 1) == 0
        assert pci_resource_flags(pdev, 4) & IORESOURCE_IO
        assert pci_select_bars(pdev, IORESOURCE_MEM) == 0b101

    def test_are_claimed(self, kernel: Kernel, pdev, dmesg) -> None:
        assert pci_request_regions(pdev, "drv") == 0
        assert pci_request_region(pdev, 2, "other") == -errno.EBUSY
        assert "BAR 2: can't reserve" in dmesg
        pci_release_regions(pdev)
        assert pci_request_region(pdev, 2, "other") == 0
        assert pci_request_regions(pdev, "drv") == -errno.EBUSY
        pci_release_region(pdev, 2)
        assert pci_request_selected_regions(pdev, 0b101, "drv") == 0
        pci_release_selected_regions(pdev, 0b101)

    def test_are_mapped(self, kernel: Kernel, pdev) -> None:
        pci_enable_device(pdev)
        whole, part, wc = pci_ioremap_bar(pdev, 0), pci_iomap_range(pdev, 0, 8, 8), pci_iomap_wc(pdev, 2, 0)
        writel(3, whole)
        assert readq(part) == 0
        for bad in (pci_iomap(pdev, 1, 0), pci_iomap(pdev, 6, 0), pci_iomap_range(pdev, 0, 0x1000, 0)):
            assert bad == NULL
        ports = pci_iomap(pdev, 4, 0)
        assert ioread32(ports) == readl(whole) == inl(pci_resource_start(pdev, 4)) == 3
        pci_iounmap(pdev, ports)
        for cookie in (whole, part, wc):
            pci_iounmap(pdev, cookie)
        pci_disable_device(pdev)

    def test_must_have_a_possible_size(self, kernel: Kernel) -> None:
        with pytest.raises(ValueError, match="power of two"):
            kernel.pci_device(1, 2, [100])
        with pytest.raises(ValueError, match="BARs 0 to 5"):
            kernel.pci_device(1, 2, {6: 4096})
        big = kernel.pci_device(1, 2, [1 << 33])
        assert pci_resource_start(big, 0) >= 1 << 32
        assert pci_resource_start(kernel.pci_device(1, 3, [(0xF123_0000, 0x1000)]), 0) == 0xF123_0000


class TestManaged:
    def test_all_goes_with_the_driver(self, kernel: Kernel, pdev) -> None:
        def probe(pdev, id):
            assert pcim_enable_device(pdev) == 0
            assert pcim_enable_device(pdev) == 0
            assert pcim_iomap_regions(pdev, 1, "drv") == 0
            assert pcim_iomap(pdev, 0, 0) == NULL
            regs = pcim_iomap_table(pdev)[0]
            writel(1, regs)
            pci_request_region(pdev, 2, "drv")
            pci_set_master(pdev)
            assert pci_alloc_irq_vectors(pdev, 1, 2, PCI_IRQ_MSI) == 2
            return devm_request_irq(pdev.dev, pci_irq_vector(pdev, 0), lambda irq, dev: IRQ_HANDLED, 0, "drv", pdev)

        drv = pci_driver(name="drv", id_table=[PCI_DEVICE(VENDOR, DEVICE)], probe=probe)
        pci_register_driver(drv)
        assert pdev.vectors
        device_release_driver(pdev.dev)
        assert not pdev.vectors
        assert not pci_is_enabled(pdev)
        assert not pci_read_config_word(pdev, PCI_COMMAND)[1] & PCI_COMMAND_MASTER
        assert pci_request_regions(pdev, "again") == 0
        pci_release_regions(pdev)
        kernel.write_file("/sys/bus/pci/drivers/drv/bind", pdev.name)

    def test_early(self, kernel: Kernel, pdev) -> None:
        pcim_enable_device(pdev)
        cookie = pcim_iomap(pdev, 0, 0)
        pcim_iounmap(pdev, cookie)
        assert pcim_iomap_regions(pdev, 0b101, "drv") == 0
        pcim_iounmap_regions(pdev, 0b101)
        assert pcim_iomap_regions(pdev, 0b11, "drv") == -errno.EINVAL
        other = pci_iomap(pdev, 2, 0)
        with kernel.expect("devm-unmanaged-release"):
            pcim_iounmap(pdev, other)
        pcim_pin_device(pdev)
        devres_release_all(pdev.dev)
        assert pci_is_enabled(pdev)
        pci_disable_device(pdev)


class TestInterrupts:
    def test_by_message(self, kernel: Kernel, pdev) -> None:
        seen: list[int] = []
        assert pci_alloc_irq_vectors(pdev, 1, 8, PCI_IRQ_ALL_TYPES) == 4
        with kernel.expect("registration-twice"):
            assert pci_alloc_irq_vectors(pdev, 1, 8, PCI_IRQ_MSIX) == -errno.EINVAL
        irq = pci_irq_vector(pdev, 1)
        assert pci_irq_vector(pdev, 4) == -errno.EINVAL
        request_irq(irq, lambda irq, dev: seen.append(irq) or IRQ_HANDLED, 0, "drv", pdev)
        pdev.model.raise_irq(1)
        assert seen == []  # a message is a write to memory
        pci_set_master(pdev)
        pdev.model.raise_irq(1)
        assert seen == [irq]
        free_irq(irq, pdev)
        pci_free_irq_vectors(pdev)
        pci_clear_master(pdev)
        assert pci_irq_vector(pdev, 0) == pdev.irq

    def test_too_few(self, kernel: Kernel, pdev) -> None:
        assert pci_alloc_irq_vectors(pdev, 5, 8, PCI_IRQ_MSI | PCI_IRQ_MSIX) == -errno.ENOSPC
        assert pci_alloc_irq_vectors(pdev, 2, 1, PCI_IRQ_MSI) == -errno.ERANGE

    def test_by_line(self, kernel: Kernel, pdev) -> None:
        seen: list[int] = []
        pci_intx(pdev, 0)
        assert pci_read_config_word(pdev, PCI_COMMAND)[1] & PCI_COMMAND_INTX_DISABLE
        request_irq(pdev.irq, lambda irq, dev: seen.append(irq) or IRQ_HANDLED, 0, "drv", pdev)
        pdev.model.raise_irq()
        assert pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_LEGACY) == 1
        pdev.model.raise_irq()
        assert seen == [pdev.irq]
        free_irq(pdev.irq, pdev)

    def test_one_message(self, kernel: Kernel, pdev) -> None:
        line = pdev.irq
        assert pci_enable_msi(pdev) == 0
        assert pdev.irq != line
        pci_disable_msi(pdev)
        assert pdev.irq == line

    def test_vectors_go_after_their_handlers(self, kernel: Kernel, pdev) -> None:
        pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI)
        irq = pci_irq_vector(pdev, 0)
        request_irq(irq, lambda irq, dev: IRQ_HANDLED, 0, "drv", pdev)
        with kernel.expect("cleanup-order") as found:
            pci_free_irq_vectors(pdev)
        assert f"removing non-empty directory 'irq/{irq}', leaking at least 'drv'" in found[0].headline
        free_irq(irq, pdev)


class TestModels:
    def test_act_in_their_own_time(self, kernel: Kernel, pdev) -> None:
        pci_enable_device(pdev)
        pci_set_master(pdev)
        regs = pci_ioremap_bar(pdev, 0)
        p, dma = dma_alloc_coherent(pdev.dev, 64, GFP_KERNEL)
        writel(0x1234, regs)
        writeq(dma, regs + 8)
        assert p.u32[0] == 0
        kernel.advance(0.001)
        assert p.u32[0] == 0x1234
        dma_free_coherent(pdev.dev, 64, p, dma)
        pci_iounmap(pdev, regs)
        pci_disable_device(pdev)

    def test_reach_nothing_unless_they_are_bus_master(self, kernel: Kernel, pdev) -> None:
        p, dma = dma_alloc_coherent(pdev.dev, 64, GFP_KERNEL)
        pdev.model.dma_write(dma, b"abcd")
        assert p[0:4] == bytes(4)
        assert pdev.model.dma_read(dma, 2) == b"\xff\xff"
        pci_set_master(pdev)
        pdev.model.dma_write(dma, b"abcd")
        assert p[0:4] == b"abcd"
        assert pdev.model.dma_read(dma, 4) == b"abcd"
        pci_clear_master(pdev)
        dma_free_coherent(pdev.dev, 64, p, dma)

    def test_are_plugged_in_somewhere(self, kernel: Kernel, pdev) -> None:
        model = pdev.model
        with pytest.raises(Unplugged, match=r"kernel.pci_device"):
            Copier().raise_irq()
        model.after(1000, lambda: pytest.fail("it is gone"))
        pci_stop_and_remove_bus_device(pdev)
        kernel.advance(0.001)
        with pytest.raises(Unplugged):
            model.raise_irq()
