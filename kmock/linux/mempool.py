"""``<linux/mempool.h>``: pools with a reserve, from which an allocation that may wait never fails.

A pool's functions are called as ``alloc(gfp, pool_data)``, which returns an element or NULL, and
``free(element, pool_data)``. An element is what the allocating function returned: a pointer, a page, or any object.
``mempool_t()`` is the zeroed struct that C embeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.mm.mempool_pool import mempool_t
from kmock.mm.slab import KmemCache

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.page import Page

mempool_alloc_t = Callable[[int, Any], Any]
mempool_free_t = Callable[[Any, Any], object]


# -- the kernel's own functions for a pool -------------------------------------------------------------


@api(since="2.5.6", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="mempool_free_slab", fails=True)
def mempool_alloc_slab(k: Kernel, gfp_mask: int, pool_data: KmemCache) -> Ptr:
    """Allocate an object of the cache ``pool_data``, which must have no constructor; NULL."""
    if isinstance(pool_data, KmemCache) and pool_data.ctor is not None and k.config.debug_vm:
        k.bug("cache-ctor-state", "mm/mempool.c:531")
    return k.slab.kmem_cache_alloc(pool_data, gfp_mask)


@api(since="2.5.6", illegal=Where.NMI)
def mempool_free_slab(k: Kernel, element: Ptr, pool_data: KmemCache) -> None:
    """Free an object of the cache ``pool_data``."""
    k.slab.kmem_cache_free(pool_data, element)


@api(since="2.6.17", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="mempool_kfree", fails=True)
def mempool_kmalloc(k: Kernel, gfp_mask: int, pool_data: int) -> Ptr:
    """``kmalloc()`` of ``pool_data`` bytes."""
    return k.slab.kmalloc(pool_data, gfp_mask)


@api(since="2.6.17", illegal=Where.NMI)
def mempool_kfree(k: Kernel, element: Ptr, pool_data: int) -> None:
    """``kfree()``."""
    k.slab.kfree(element)


@api(since="2.6.17", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="mempool_free_pages", fails=True)
def mempool_alloc_pages(k: Kernel, gfp_mask: int, pool_data: int) -> Page | None:
    """``alloc_pages()`` of order ``pool_data``: the first page, or None."""
    return k.page_alloc.alloc_pages(gfp_mask, pool_data)


@api(since="2.6.17", illegal=Where.NMI)
def mempool_free_pages(k: Kernel, element: Page, pool_data: int) -> None:
    """``__free_pages()`` of order ``pool_data``."""
    k.page_alloc.free_pages(element, pool_data)


# -- pools ----------------------------------------------------------------------------------------------


@api(since="2.5.6", sleeps=Sleeps.ALWAYS, undo="mempool_destroy", fails=True)
def mempool_create(
    k: Kernel, min_nr: int, alloc_fn: mempool_alloc_t, free_fn: mempool_free_t, pool_data: Any
) -> mempool_t | Ptr:
    """Make a pool whose reserve holds ``min_nr`` elements, allocated now; NULL where one can't be had."""
    return k.mempools.create(min_nr, alloc_fn, free_fn, pool_data)


@api(since="2.6.19", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="mempool_destroy", fails=True)
def mempool_create_node(
    k: Kernel,
    min_nr: int,
    alloc_fn: mempool_alloc_t,
    free_fn: mempool_free_t,
    pool_data: Any,
    gfp_mask: int,
    nid: int,
) -> mempool_t | Ptr:
    """Make a pool with the struct and the array on node ``nid``; -1 is the nearest."""
    return k.mempools.create(min_nr, alloc_fn, free_fn, pool_data, gfp_mask, nid)


@api(since="2.6.17", sleeps=Sleeps.ALWAYS, undo="mempool_destroy", fails=True)
def mempool_create_slab_pool(k: Kernel, min_nr: int, kc: KmemCache) -> mempool_t | Ptr:
    """Make a pool of objects of the cache ``kc``, which has to outlive the pool; NULL."""
    return k.mempools.create(min_nr, mempool_alloc_slab, mempool_free_slab, kc)


@api(since="2.6.17", sleeps=Sleeps.ALWAYS, undo="mempool_destroy", fails=True)
def mempool_create_kmalloc_pool(k: Kernel, min_nr: int, size: int) -> mempool_t | Ptr:
    """Make a pool of ``size`` bytes from kmalloc(); NULL."""
    return k.mempools.create(min_nr, mempool_kmalloc, mempool_kfree, size)


@api(since="2.6.17", sleeps=Sleeps.ALWAYS, undo="mempool_destroy", fails=True)
def mempool_create_page_pool(k: Kernel, min_nr: int, order: int) -> mempool_t | Ptr:
    """Make a pool of ``1 << order`` pages; its elements are ``struct page``; NULL."""
    return k.mempools.create(min_nr, mempool_alloc_pages, mempool_free_pages, order)


@api(since="4.18", sleeps=Sleeps.ALWAYS, undo="mempool_exit", fails=True)
def mempool_init(
    k: Kernel, pool: mempool_t, min_nr: int, alloc_fn: mempool_alloc_t, free_fn: mempool_free_t, pool_data: Any
) -> int:
    """Initialise a pool that lies in another struct: 0, or -ENOMEM."""
    return k.mempools.init(pool, min_nr, alloc_fn, free_fn, pool_data)


@api(since="4.18", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="mempool_exit", fails=True)
def mempool_init_node(
    k: Kernel,
    pool: mempool_t,
    min_nr: int,
    alloc_fn: mempool_alloc_t,
    free_fn: mempool_free_t,
    pool_data: Any,
    gfp_mask: int,
    node_id: int,
) -> int:
    """``mempool_init()`` with the gfp flags for the array and the first elements, and the array's node."""
    return k.mempools.init(pool, min_nr, alloc_fn, free_fn, pool_data, gfp_mask, node_id)


@api(since="4.18", sleeps=Sleeps.ALWAYS, undo="mempool_exit", fails=True)
def mempool_init_slab_pool(k: Kernel, pool: mempool_t, min_nr: int, kc: KmemCache) -> int:
    """Initialise a pool of objects of the cache ``kc``: 0, or -ENOMEM."""
    return k.mempools.init(pool, min_nr, mempool_alloc_slab, mempool_free_slab, kc)


@api(since="4.18", sleeps=Sleeps.ALWAYS, undo="mempool_exit", fails=True)
def mempool_init_kmalloc_pool(k: Kernel, pool: mempool_t, min_nr: int, size: int) -> int:
    """Initialise a pool of ``size`` bytes from kmalloc(): 0, or -ENOMEM."""
    return k.mempools.init(pool, min_nr, mempool_kmalloc, mempool_kfree, size)


@api(since="4.18", sleeps=Sleeps.ALWAYS, undo="mempool_exit", fails=True)
def mempool_init_page_pool(k: Kernel, pool: mempool_t, min_nr: int, order: int) -> int:
    """Initialise a pool of ``1 << order`` pages: 0, or -ENOMEM."""
    return k.mempools.init(pool, min_nr, mempool_alloc_pages, mempool_free_pages, order)


@api(since="4.18")
def mempool_initialized(k: Kernel, pool: mempool_t) -> bool:
    """Whether ``mempool_init()`` ran, and ``mempool_exit()`` has not."""
    return pool.of(k).array is not None


@api(since="4.18", illegal=Where.NMI)
def mempool_exit(k: Kernel, pool: mempool_t) -> None:
    """Free the reserve; a pool that is all zeroes, or has ended, is nothing to do. Elements that are out are lost."""
    k.mempools.exit(pool)


@api(since="2.5.6", illegal=Where.NMI)
def mempool_destroy(k: Kernel, pool: mempool_t | Ptr | None) -> None:
    """Free the reserve and the pool; NULL is nothing to do. Every element has to be back."""
    k.mempools.destroy(pool)


@api(since="2.5.6", sleeps=Sleeps.ALWAYS, fails=True)
def mempool_resize(k: Kernel, pool: mempool_t | Ptr, new_min_nr: int, gfp_mask: int = 0) -> int:
    """Let the reserve hold ``new_min_nr`` elements: 0, or -ENOMEM. One that grows may fill up later.

    Up to 3.19 the gfp flags were an argument.
    """
    return k.mempools.resize(pool, new_min_nr)


@api(since="2.5.6", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="mempool_free", fails=True)
def mempool_alloc(k: Kernel, pool: mempool_t | Ptr, gfp_mask: int) -> Any:
    """Take an element, with whatever is in it; NULL only where ``gfp_mask`` forbids to wait, else it waits."""
    return k.mempools.alloc(pool, gfp_mask)


@api(since="2.5.6", illegal=Where.NMI)
def mempool_free(k: Kernel, element: Any, pool: mempool_t | Ptr) -> None:
    """Give an element back, to the reserve first; NULL is nothing to do."""
    k.mempools.release(element, pool)


__getattr__ = header_getattr(__name__)
__all__ = [
    "mempool_alloc",
    "mempool_alloc_pages",
    "mempool_alloc_slab",
    "mempool_alloc_t",
    "mempool_create",
    "mempool_create_kmalloc_pool",
    "mempool_create_node",
    "mempool_create_page_pool",
    "mempool_create_slab_pool",
    "mempool_destroy",
    "mempool_exit",
    "mempool_free",
    "mempool_free_pages",
    "mempool_free_slab",
    "mempool_free_t",
    "mempool_init",
    "mempool_init_kmalloc_pool",
    "mempool_init_node",
    "mempool_init_page_pool",
    "mempool_init_slab_pool",
    "mempool_initialized",
    "mempool_kfree",
    "mempool_kmalloc",
    "mempool_resize",
    "mempool_t",
]
