"""Drivers with one mistake each, what kmock should call it, and what brings it to light.

``BUGS`` is the table: the name of a module of this package, the kind of report that is expected, and a function that
makes a process, or the hardware, do what the mistake needs. A driver whose mistake shows as soon as it is loaded and
unloaded needs none.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kmock.hw.device import DeviceModel
from kmock.hw.mmio import Register

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock import Kernel
    from kmock.kernel.module import Module

RESET = 1
IRQ = 9


@dataclass(frozen=True)
class Bug:
    """A driver with a mistake: the kind of report to expect, and how to provoke it."""

    kind: str
    provoke: Callable[[Kernel, Module], None] = lambda kernel, module: None
    loads: bool = True
    """Whether ``insmod`` succeeds."""
    also: tuple[str, ...] = ()
    """Kinds of report that the same mistake makes besides."""


def use(path: str, *steps: tuple[str, object]) -> Callable[[Kernel, Module], None]:
    """Return what opens a device, makes these system calls, and closes it; their own failures are no matter."""

    def provoke(kernel: Kernel, module: Module) -> None:
        process = kernel.user()
        fd = process.open(path, os.O_RDWR)
        for call, argument in steps:
            with suppress(OSError):
                getattr(process, call)(fd, argument)
        process.close(fd)
        process.exit()

    return provoke


def interrupt_after_reset(kernel: Kernel, module: Module) -> None:
    use("/dev/counter", ("ioctl", RESET))(kernel, module)
    kernel.raise_irq(IRQ)


def interrupt_after_write(kernel: Kernel, module: Module) -> None:
    use("/dev/tally", ("write", b"x"))(kernel, module)
    kernel.raise_irq(IRQ)


def no_memory(kernel: Kernel, module: Module) -> None:
    process = kernel.user()
    kernel.faults.fail_nth(1)
    process.open("/dev/unchecked")
    process.exit()


def mapped(path: str, length: int, prot: int, *steps: tuple[str, object]) -> Callable[[Kernel, Module], None]:
    """Return what opens a device, maps it, makes these system calls, and ends."""

    def provoke(kernel: Kernel, module: Module) -> None:
        process = kernel.user()
        fd = process.open(path, os.O_RDWR)
        process.mmap(fd, length, prot, mmap.MAP_SHARED)
        for call, argument in steps:
            getattr(process, call)(fd, argument)
        process.exit()

    return provoke


def with_buffer(path: str, data: bytes) -> Callable[[Kernel, Module], None]:
    """Return what makes a system call with a pointer to ``data``."""

    def provoke(kernel: Kernel, module: Module) -> None:
        process = kernel.user()
        process.ioctl(process.open(path, os.O_RDWR), RESET, process.buffer(data))
        process.exit()

    return provoke


def under_pressure(path: str, *steps: tuple[str, object]) -> Callable[[Kernel, Module], None]:
    """Return what uses a device while kmalloc() has nothing to give."""

    def provoke(kernel: Kernel, module: Module) -> None:
        process = kernel.user()
        fd = process.open(path, os.O_RDWR)
        kernel.faults.failslab(probability=100, times=-1, ignore_gfp_wait=False)
        try:
            for call, argument in steps:
                getattr(process, call)(fd, argument)
        finally:
            kernel.faults.clear()
        process.close(fd)
        process.exit()

    return provoke


def late_device(kernel: Kernel, module: Module) -> None:
    device = kernel.platform_device("ring").dev
    status = module.handle + 4
    use("/dev/ring", ("ioctl", RESET))(kernel, module)
    kernel.dma_write(device, status, b"done")


def plug_in_leftover(kernel: Kernel, module: Module) -> None:
    kernel.pci_device(module.VENDOR, module.DEVICE)


class LateCard(DeviceModel):
    """A card that receives a frame some time after it was started."""

    address = Register(0x00, width=8)
    ctrl = Register(0x08)

    @ctrl.written
    def start(self, value: int) -> None:
        if value:
            self.after(1_000_000, lambda: self.dma_write(self.address, b"a late frame"))


def frame_after_unbind(kernel: Kernel, module: Module) -> None:
    pdev = kernel.pci_device(module.VENDOR, module.DEVICE, {0: 0x1000}, LateCard())
    kernel.write_file("/sys/bus/pci/drivers/gone/unbind", pdev.name)
    kernel.advance(0.01)


def receive_frame(kernel: Kernel, module: Module) -> None:
    device = kernel.platform_device("tap").dev
    kernel.dma_write(device, module.handle, b"a frame")
    kernel.raise_irq(IRQ)


def send_frame(kernel: Kernel, module: Module) -> None:
    device = kernel.platform_device("sender").dev
    kernel.dma_read(device, module.handle, 64)
    kernel.raise_irq(IRQ)


def plug_in(name: str) -> Callable[[Kernel, Module], None]:
    """Return what plugs in a platform device."""

    def provoke(kernel: Kernel, module: Module) -> None:
        kernel.platform_device(name)

    return provoke


BUGS = {
    "bus_master_left_on": Bug("stop-before-release", plug_in_leftover),
    "card_not_stopped": Bug("dma-remove-while-active", frame_after_unbind, also=("stop-before-release",)),
    "descriptor_freed_in_use": Bug("dma-pool-device-after-free", late_device),
    "double_free": Bug("slab-double-free", use("/dev/twice", ("ioctl", RESET))),
    "frame_freed_before_unmap": Bug("dma-free-while-mapped", send_frame),
    "frame_read_without_sync": Bug("dma-sync-missing-cpu", receive_frame),
    "frame_unmapped_wrong_way": Bug("dma-unmap-direction", plug_in("beacon")),
    "infoleak_to_user": Bug("infoleak-padding", use("/dev/status", ("read", 64))),
    "irq_unsafe_counter": Bug("percpu-irq-unsafe", interrupt_after_write),
    "iomem_dereferenced": Bug("mmio-plain-access", use("/dev/lap", ("read", 4))),
    "kfree_of_pages": Bug("kfree-of-page", use("/dev/pages")),
    "kfree_of_vmalloc": Bug("kfree-of-vmalloc", use("/dev/table"), also=("module-ref-imbalance",)),
    "leak_on_error_path": Bug("leak-on-error-path", loads=False),
    "length_fetched_twice": Bug("user-double-fetch", with_buffer("/dev/sticker", b"\4\0\0\0name")),
    "managed_irq_outlives_data": Bug("devm-order-hazard", plug_in("meter")),
    "mapping_unchecked": Bug("dma-map-error-unchecked", plug_in("burst")),
    "missing_unlock_on_error": Bug("lock-held-at-return", use("/dev/locked", ("write", b"x" * 100))),
    "mmap_past_the_end": Bug("mmap-size-unchecked", mapped("/dev/panel", 8192, mmap.PROT_READ)),
    "nested_request": Bug("mempool-nested-alloc", under_pressure("/dev/mirror", ("ioctl", RESET))),
    "off_by_one": Bug("slab-out-of-bounds-right", use("/dev/label", ("write", b"x" * 64))),
    "percpu_without_put": Bug("percpu-get-put-imbalance", use("/dev/counts", ("write", b"x"), ("write", b""))),
    "pin_not_dirtied": Bug("gup-missing-dirty", with_buffer("/dev/finish", bytes(4096))),
    "pin_released_by_put": Bug("gup-put-vs-unpin", with_buffer("/dev/notify", bytes(4096))),
    "pool_left_behind": Bug("dma-pool-leak", plug_in("tape")),
    "register_after_unmap": Bug("mmio-after-unmap"),
    "request_after_completion": Bug("mempool-element-written", under_pressure("/dev/flash", ("write", b"x"))),
    "ring_freed_while_mapped": Bug("remap-ram-then-free", mapped("/dev/ring", 4096, mmap.PROT_READ, ("ioctl", RESET))),
    "sleep_under_spinlock": Bug("alloc-gfp-kernel-under-spinlock", use("/dev/sleepy", ("write", b"x"))),
    "still_writable": Bug("mmap-write-allowed", mapped("/dev/calib", 4096, mmap.PROT_READ)),
    "timer_left_running": Bug("free-active-object", use("/dev/watchdog")),
    "unchecked_null": Bug("slab-null-unchecked", no_memory),
    "use_after_free_in_irq": Bug("irq-after-teardown", interrupt_after_reset, also=("cleanup-order",)),
    "vmalloc_past_the_end": Bug("vmalloc-out-of-bounds", use("/dev/frame", ("ioctl", RESET))),
    "work_outlives_module": Bug("work-at-exit", use("/dev/poller", ("write", b"x")), also=("free-active-object",)),
    "wrong_cache": Bug("cache-wrong-cache-free", use("/dev/pair")),
}
