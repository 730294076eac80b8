"""Drivers with one mistake each, what kmock should call it, and what brings it to light.

``BUGS`` is the table: the name of a module of this package, the kind of report that is expected, and a function that
makes a process, or the hardware, do what the mistake needs. A driver whose mistake shows as soon as it is loaded and
unloaded needs none.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

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


def plug_in(name: str) -> Callable[[Kernel, Module], None]:
    """Return what plugs in a platform device."""

    def provoke(kernel: Kernel, module: Module) -> None:
        kernel.platform_device(name)

    return provoke


BUGS = {
    "bus_master_left_on": Bug("stop-before-release", plug_in_leftover),
    "descriptor_freed_in_use": Bug("dma-pool-device-after-free", late_device),
    "double_free": Bug("slab-double-free", use("/dev/twice", ("ioctl", RESET))),
    "infoleak_to_user": Bug("infoleak-padding", use("/dev/status", ("read", 64))),
    "irq_unsafe_counter": Bug("percpu-irq-unsafe", interrupt_after_write),
    "iomem_dereferenced": Bug("mmio-plain-access", use("/dev/lap", ("read", 4))),
    "kfree_of_pages": Bug("kfree-of-page", use("/dev/pages")),
    "kfree_of_vmalloc": Bug("kfree-of-vmalloc", use("/dev/table"), also=("module-ref-imbalance",)),
    "leak_on_error_path": Bug("leak-on-error-path", loads=False),
    "managed_irq_outlives_data": Bug("devm-order-hazard", plug_in("meter")),
    "missing_unlock_on_error": Bug("lock-held-at-return", use("/dev/locked", ("write", b"x" * 100))),
    "nested_request": Bug("mempool-nested-alloc", under_pressure("/dev/mirror", ("ioctl", RESET))),
    "off_by_one": Bug("slab-out-of-bounds-right", use("/dev/label", ("write", b"x" * 64))),
    "percpu_without_put": Bug("percpu-get-put-imbalance", use("/dev/counts", ("write", b"x"), ("write", b""))),
    "pool_left_behind": Bug("dma-pool-leak", plug_in("tape")),
    "register_after_unmap": Bug("mmio-after-unmap"),
    "request_after_completion": Bug("mempool-element-written", under_pressure("/dev/flash", ("write", b"x"))),
    "sleep_under_spinlock": Bug("alloc-gfp-kernel-under-spinlock", use("/dev/sleepy", ("write", b"x"))),
    "timer_left_running": Bug("free-active-object", use("/dev/watchdog")),
    "unchecked_null": Bug("slab-null-unchecked", no_memory),
    "use_after_free_in_irq": Bug("irq-after-teardown", interrupt_after_reset, also=("cleanup-order",)),
    "vmalloc_past_the_end": Bug("vmalloc-out-of-bounds", use("/dev/frame", ("ioctl", RESET))),
    "work_outlives_module": Bug("work-at-exit", use("/dev/poller", ("write", b"x")), also=("free-active-object",)),
    "wrong_cache": Bug("cache-wrong-cache-free", use("/dev/pair")),
}
