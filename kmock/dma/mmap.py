"""Coherent memory in a process' area (``dma_mmap_attrs()``, ``kernel/dma/mapping.c``, ``kernel/dma/direct.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kmock.lang.ptr import Ptr
from kmock.mm.remap import remap_pfn_range

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.machine import Kernel
    from kmock.mm.vma import vm_area_struct


def mmap(k: Kernel, dev: device, vma: vm_area_struct, cpu_addr: int, dma: int, size: int) -> int:
    """Show what ``dma_alloc_coherent()`` gave, from page ``vm_pgoff`` on, all over an area; -ENXIO where it does not fit.

    The area's protection stays what it is (``dma_pgprot()``): coherent memory is cached as the kernel's own mapping is.
    """
    k.dma.check_device(dev)
    page = k.dma.ops.page_of(dev, dma)
    if page is None:
        return -errno.ENXIO
    _check_size(k, cpu_addr, size)
    count = size + 4095 >> 12
    if vma.vm_pgoff >= count or vma.pages > count - vma.vm_pgoff:
        return -errno.ENXIO
    return remap_pfn_range(vma, vma.vm_start, page.pfn + vma.vm_pgoff, vma.pages << 12, vma.vm_page_prot, coherent=True)


def _check_size(k: Kernel, cpu_addr: int, size: int) -> None:
    about = cpu_addr.origin if isinstance(cpu_addr, Ptr) else None
    if about is None or size <= about.size:
        return
    stack = k.capture()
    k.report(
        "dma-mmap-coherent-bad",
        f"BUG: kmock: dma-mmap-coherent-bad in {k.symbol(stack)}",
        lines=[f"{size} bytes are to be shown, and {about.size} were allocated: what lies behind is not the device's"],
        stacks={"access": stack, "allocated": about.alloc_stack},
        object=k.kasan.info(about, about.addr),
        key=(about, "dma-mmap"),
    )
