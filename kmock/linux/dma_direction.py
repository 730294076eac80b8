"""``<linux/dma-direction.h>``: which way data goes."""

from __future__ import annotations

from kmock.linux._header import header_getattr
from kmock.sanitizers.dma_entry import DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_NONE, DMA_TO_DEVICE

_DIRECTIONS = (DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE)


def valid_dma_direction(dir: int) -> int:
    """Whether ``dir`` says which way data goes; DMA_NONE does not."""
    return int(dir in _DIRECTIONS)


__getattr__ = header_getattr(__name__)
__all__ = ["DMA_BIDIRECTIONAL", "DMA_FROM_DEVICE", "DMA_NONE", "DMA_TO_DEVICE", "valid_dma_direction"]
