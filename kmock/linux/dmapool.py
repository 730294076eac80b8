"""``<linux/dmapool.h>``: pools of small blocks that a device can reach.

What C returns through ``dma_addr_t *handle`` comes back as the second of two values:
``vaddr, dma = dma_pool_alloc(pool, GFP_KERNEL)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.lang.ptr import NULL, Ptr
from kmock.lang.struct import as_ptr
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.mm.dmapool_pool import dma_pool
from kmock.mm.gfp import __GFP_ZERO as _ZERO

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.machine import Kernel


def _p(addr: Any) -> Ptr:
    return addr if addr.__class__ is Ptr else NULL if addr is None else as_ptr(addr)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="dma_pool_destroy", fails=True)
def dma_pool_create(k: Kernel, name: str, dev: device, size: int, align: int, boundary: int) -> dma_pool | Ptr:
    """Make a pool of blocks of ``size`` bytes, aligned to ``align``, that don't cross a multiple of ``boundary``.

    ``align`` and ``boundary`` are powers of two, or 0 for 1 and for none. NULL where they are not, where ``size`` is 0 or
    exceeds the boundary, and where there is no memory.
    """
    return k.dma_pools.create(name, dev, size, align, boundary)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT)
def dma_pool_destroy(k: Kernel, pool: dma_pool | Ptr | None) -> None:
    """End a pool, all of whose blocks are back; NULL is nothing to do. What is still in use is never freed."""
    k.dma_pools.destroy(pool)


@api(since="2.6.0", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="dma_pool_free", fails=True)
def dma_pool_alloc(k: Kernel, pool: dma_pool | Ptr, mem_flags: int) -> tuple[Ptr, int]:
    """Allocate a block, contents undefined: the processor's address of it and the device's; ``(NULL, 0)`` without memory."""
    return k.dma_pools.alloc(pool, mem_flags)


@api(since="4.3", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="dma_pool_free", fails=True)
def dma_pool_zalloc(k: Kernel, pool: dma_pool | Ptr, mem_flags: int) -> tuple[Ptr, int]:
    """Allocate a zeroed block; as ``dma_pool_alloc()``."""
    return k.dma_pools.alloc(pool, mem_flags | _ZERO)


@api(since="2.6.0", illegal=Where.NMI)
def dma_pool_free(k: Kernel, pool: dma_pool | Ptr, vaddr: Ptr, dma: int) -> None:
    """Give back the block at ``vaddr`` that the device knows as ``dma``; the device must be done with it."""
    k.dma_pools.free(pool, _p(vaddr), dma)


@api(since="2.6.21", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="dmam_pool_destroy", fails=True)
def dmam_pool_create(k: Kernel, name: str, dev: device, size: int, align: int, allocation: int) -> dma_pool | Ptr:
    """``dma_pool_create()`` of a pool that is destroyed when the driver lets go of ``dev``."""
    return k.dma_pools.create_managed(name, dev, size, align, allocation)


@api(since="2.6.21", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT)
def dmam_pool_destroy(k: Kernel, pool: dma_pool | Ptr) -> None:
    """End a pool of ``dmam_pool_create()`` before its time."""
    k.dma_pools.destroy_managed(pool)


__getattr__ = header_getattr(__name__)
__all__ = [
    "dma_pool",
    "dma_pool_alloc",
    "dma_pool_create",
    "dma_pool_destroy",
    "dma_pool_free",
    "dma_pool_zalloc",
    "dmam_pool_create",
    "dmam_pool_destroy",
]
