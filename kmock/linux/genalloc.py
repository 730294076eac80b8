"""``<linux/genalloc.h>``: pools of special memory.

An algorithm is called ``algo(chunk, units, data, order)`` here; the kernel's own are ``gen_pool_first_fit`` and its like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.lang.ptr import NULL, Ptr
from kmock.lang.struct import as_ptr
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.err import ERR_PTR
from kmock.mm.genalloc import best_fit as gen_pool_best_fit
from kmock.mm.genalloc import first_fit as gen_pool_first_fit
from kmock.mm.genalloc import first_fit_align as gen_pool_first_fit_align
from kmock.mm.genalloc import first_fit_order_align as gen_pool_first_fit_order_align
from kmock.mm.genalloc import fixed as gen_pool_fixed_alloc
from kmock.mm.genalloc import gen_pool

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.machine import Kernel

_NO_PHYS = (1 << 64) - 1


@api(since="2.6.15", sleeps=Sleeps.ALWAYS, undo="gen_pool_destroy", fails=True)
def gen_pool_create(k: Kernel, min_alloc_order: int, nid: int) -> gen_pool | Ptr:
    """An empty pool that gives memory in units of ``1 << min_alloc_order`` bytes; NULL without memory."""
    return k.genpools.create(min_alloc_order) or NULL


@api(since="4.2", sleeps=Sleeps.ALWAYS, fails=True)
def devm_gen_pool_create(k: Kernel, dev: device, min_alloc_order: int, nid: int, name: str | None) -> gen_pool | Ptr:
    """The same for as long as the driver is there; an ERR_PTR where the device has one of that name."""
    found = k.managed.create_gen_pool(dev, min_alloc_order, name or "")
    return ERR_PTR(found) if isinstance(found, int) else found


@api(since="4.2")
def gen_pool_get(k: Kernel, dev: device, name: str | None) -> gen_pool | None:
    """The device's managed pool of that name, None if it has none."""
    return k.managed.find_gen_pool(dev, name or "")


@api(since="2.6.15", sleeps=Sleeps.ALWAYS, fails=True)
def gen_pool_add(k: Kernel, pool: gen_pool, addr: int, size: int, nid: int) -> int:
    """Let the pool divide ``size`` bytes at ``addr``: 0 or -ENOMEM."""
    return k.genpools.add(pool, as_ptr(addr), _NO_PHYS, size)


@api(since="2.6.39", sleeps=Sleeps.ALWAYS, fails=True)
def gen_pool_add_virt(k: Kernel, pool: gen_pool, virt: int, phys: int, size: int, nid: int) -> int:
    """The same for memory whose physical address is known."""
    return k.genpools.add(pool, as_ptr(virt), phys, size)


@api(since="2.6.15", undo="gen_pool_free", fails=True)
def gen_pool_alloc(k: Kernel, pool: gen_pool, size: int) -> Ptr:
    """``size`` bytes; 0 where none are free."""
    return k.genpools.alloc(pool, size)


@api(since="4.4", undo="gen_pool_free", fails=True)
def gen_pool_alloc_algo(k: Kernel, pool: gen_pool, size: int, algo: Any, data: Any) -> Ptr:
    """The same, placed by an algorithm of the caller's."""
    return k.genpools.alloc(pool, size, algo, data)


@api(since="3.13", undo="gen_pool_free", fails=True)
def gen_pool_dma_alloc(k: Kernel, pool: gen_pool | None, size: int) -> tuple[Ptr, int]:
    """``size`` bytes, and their physical address; NULL where none are free."""
    found = k.genpools.alloc(pool, size) if pool is not None else NULL
    return found, k.genpools.phys(pool, found) if pool is not None and found else 0


@api(since="5.3", undo="gen_pool_free", fails=True)
def gen_pool_dma_zalloc(k: Kernel, pool: gen_pool | None, size: int) -> tuple[Ptr, int]:
    """:func:`gen_pool_dma_alloc`, zeroed."""
    found = k.genpools.alloc(pool, size) if pool is not None else NULL
    if found:
        k.mem.fill(found, 0, 0, size)
    return found, k.genpools.phys(pool, found) if pool is not None and found else 0


@api(since="2.6.15")
def gen_pool_free(k: Kernel, pool: gen_pool, addr: int, size: int) -> None:
    """Give memory back, with the size it was asked for with."""
    k.genpools.free(pool, addr, size)


@api(since="3.0", sleeps=Sleeps.ALWAYS)
def gen_pool_destroy(k: Kernel, pool: gen_pool) -> None:
    """Destroy a pool; everything must have come back."""
    k.genpools.destroy(pool)


@api(since="3.0")
def gen_pool_avail(k: Kernel, pool: gen_pool) -> int:
    """How many bytes are free."""
    return sum(chunk.avail for chunk in pool.chunks)


@api(since="3.0")
def gen_pool_size(k: Kernel, pool: gen_pool) -> int:
    """How many bytes there are."""
    return sum(chunk.size for chunk in pool.chunks)


@api(since="2.6.39")
def gen_pool_virt_to_phys(k: Kernel, pool: gen_pool, addr: int) -> int:
    """The physical address; all ones where the address is not the pool's."""
    return k.genpools.phys(pool, addr)


@api(since="5.5")
def gen_pool_has_addr(k: Kernel, pool: gen_pool, start: int, size: int) -> bool:
    """Whether the range lies in one of the pool's chunks."""
    return any(chunk.holds(int(start), size) for chunk in pool.chunks)


@api(since="3.7")
def gen_pool_set_algo(k: Kernel, pool: gen_pool, algo: Any, data: Any) -> None:
    """Have the pool place what it gives by ``algo``; NULL is first fit."""
    pool.algo, pool.data = algo or gen_pool_first_fit, data


__getattr__ = header_getattr(__name__)
__all__ = [
    "devm_gen_pool_create",
    "gen_pool",
    "gen_pool_add",
    "gen_pool_add_virt",
    "gen_pool_alloc",
    "gen_pool_alloc_algo",
    "gen_pool_avail",
    "gen_pool_best_fit",
    "gen_pool_create",
    "gen_pool_destroy",
    "gen_pool_dma_alloc",
    "gen_pool_dma_zalloc",
    "gen_pool_first_fit",
    "gen_pool_first_fit_align",
    "gen_pool_first_fit_order_align",
    "gen_pool_fixed_alloc",
    "gen_pool_free",
    "gen_pool_get",
    "gen_pool_has_addr",
    "gen_pool_set_algo",
    "gen_pool_size",
    "gen_pool_virt_to_phys",
]
