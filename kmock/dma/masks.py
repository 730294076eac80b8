"""Which addresses a device can reach, and how it wants its segments (``kernel/dma/mapping.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from kmock.dma.direct import bit_mask, min_not_zero, sizes

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.machine import Kernel

SZ_4G_MASK: Final = (1 << 32) - 1


def DMA_BIT_MASK(n: int) -> int:
    """The mask of a device with ``n`` address bits."""
    return bit_mask(n)


def set_mask(k: Kernel, dev: device, mask: int) -> int:
    """``dma_set_mask()``: 0, or -EIO."""
    if dev.dma_mask is None or not k.dma.ops.supported(mask):
        return -errno.EIO
    k.dma.masked.add(dev)
    dev.dma_mask = mask
    return 0


def set_coherent_mask(k: Kernel, dev: device, mask: int) -> int:
    """``dma_set_coherent_mask()``: 0, or -EIO."""
    if not k.dma.ops.supported(mask):
        return -errno.EIO
    k.dma.masked.add(dev)
    dev.coherent_dma_mask = mask
    return 0


def limited(k: Kernel, dev: device) -> bool:
    """``dma_addressing_limited()``."""
    return min_not_zero(dev.dma_mask or SZ_4G_MASK, dev.bus_dma_limit) < k.dma.ops.required_mask()


def need_sync(k: Kernel, dev: device, dma: int) -> bool:
    """``dma_need_sync()``."""
    return not k.dma.coherent(dev) or any(m.bounce >= 0 for m in k.dma.debug.over(dev, dma))


__all__ = ["DMA_BIT_MASK", "SZ_4G_MASK", "limited", "need_sync", "set_coherent_mask", "set_mask", "sizes"]
