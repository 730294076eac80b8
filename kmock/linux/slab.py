"""``<linux/slab.h>``: kmalloc and its relatives, caches of objects of one size, memory that may come from either allocator.

A failed allocation is NULL, and a request for 0 bytes is ZERO_SIZE_PTR, which may be freed and not be used.
``kmem_cache_create()`` takes five arguments, or the six of 2.6.21 and before; in that form constructor and
destructor are called as ``ctor(object, cache, flags)``. ``kmem_cache_alloc_bulk()`` returns how many objects there
are, and the list of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.current import current
from kmock.lang.ptr import NULL, Ptr
from kmock.lang.struct import Struct, as_ptr
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.gfp import *  # noqa: F403 -- the C header includes it
from kmock.linux.gfp import __all__ as _gfp
from kmock.mm import krealloc as _krealloc
from kmock.mm import slab_bulk, slab_common, typed, util
from kmock.mm.gfp import __GFP_ZERO as _ZERO
from kmock.mm.gfp import GFP_ATOMIC, GFP_DMA, GFP_KERNEL, GFP_NOFS, GFP_NOIO, GFP_USER
from kmock.mm.slab import KmemCache
from kmock.mm.slab_common import SLAB_DEBUG_INITIAL, SLAB_MUST_HWCACHE_ALIGN, SLAB_NO_REAP
from kmock.mm.slab_layout import (
    KMALLOC_MAX_CACHE_SIZE,
    KMALLOC_MAX_SIZE,
    KMALLOC_SIZES,
    PAGE_SIZE,
    SLAB_ACCOUNT,
    SLAB_CACHE_DMA,
    SLAB_CACHE_DMA32,
    SLAB_CONSISTENCY_CHECKS,
    SLAB_CTOR_ATOMIC,
    SLAB_CTOR_CONSTRUCTOR,
    SLAB_CTOR_VERIFY,
    SLAB_DEBUG_OBJECTS,
    SLAB_FAILSLAB,
    SLAB_HWCACHE_ALIGN,
    SLAB_KASAN,
    SLAB_KMALLOC,
    SLAB_MEM_SPREAD,
    SLAB_NO_USER_FLAGS,
    SLAB_NOLEAKTRACE,
    SLAB_PANIC,
    SLAB_POISON,
    SLAB_RECLAIM_ACCOUNT,
    SLAB_RED_ZONE,
    SLAB_SKIP_KFENCE,
    SLAB_STORE_USER,
    SLAB_TEMPORARY,
    SLAB_TRACE,
    SLAB_TYPESAFE_BY_RCU,
)
from kmock.mm.slab_layout import get_order as _get_order
from kmock.mm.slub import SIZE_MAX, ZERO_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel

ZERO_SIZE_PTR = Ptr(ZERO_SIZE)
KMALLOC_MIN_SIZE = 8
KMALLOC_SHIFT_LOW = 3
KMALLOC_SHIFT_HIGH = 13
ARCH_KMALLOC_MINALIGN = 8
ARCH_SLAB_MINALIGN = 8

# Names of 2.6.
kmem_cache = KmemCache
kmem_cache_t = KmemCache
SLAB_DESTROY_BY_RCU = SLAB_TYPESAFE_BY_RCU
SLAB_DEBUG_FREE = SLAB_CONSISTENCY_CHECKS
SLAB_KERNEL = GFP_KERNEL
SLAB_ATOMIC = GFP_ATOMIC
SLAB_USER = GFP_USER
SLAB_NOFS = GFP_NOFS
SLAB_NOIO = GFP_NOIO
SLAB_DMA = GFP_DMA


def ZERO_OR_NULL_PTR(x: Any) -> bool:
    """Whether ``x`` is NULL or ZERO_SIZE_PTR."""
    return x is None or int(x) <= ZERO_SIZE


def _p(x: Any) -> Ptr:
    """A pointer of what a driver passes for one: a Ptr, a number, a Struct view, None."""
    return x if x.__class__ is Ptr else NULL if x is None else as_ptr(x)


def _product(n: int, size: int) -> int:
    """``check_mul_overflow()``: the product, or -1 where size_t can't hold it."""
    return n * size if 0 <= n <= SIZE_MAX and 0 <= size <= SIZE_MAX and n * size <= SIZE_MAX else -1


# -- kmalloc() ------------------------------------------------------------------------------------


@api(since="1.0", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kfree", fails=True)
def kmalloc(k: Kernel, size: int, flags: int) -> Ptr:
    """Allocate ``size`` bytes, physically contiguous, contents undefined; NULL, or ZERO_SIZE_PTR for 0 bytes."""
    return k.slab.kmalloc(size, flags)


@api(since="2.6.14", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kfree", fails=True)
def kzalloc(k: Kernel, size: int, flags: int) -> Ptr:
    """Allocate ``size`` zeroed bytes."""
    return k.slab.kmalloc(size, flags | _ZERO)


@api(since="2.6.12", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kfree", fails=True)
def kmalloc_node(k: Kernel, size: int, flags: int, node: int) -> Ptr:
    """Allocate from a node, or from another where that has none; -1 is the nearest."""
    return k.slab.kmalloc(size, flags, node)


@api(since="2.6.33", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kfree", fails=True)
def kzalloc_node(k: Kernel, size: int, flags: int, node: int) -> Ptr:
    """Allocate zeroed bytes from a node."""
    return k.slab.kmalloc(size, flags | _ZERO, node)


@api(since="2.6.9", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kfree", fails=True)
def kcalloc(k: Kernel, n: int, size: int, flags: int) -> Ptr:
    """Allocate a zeroed array of ``n`` elements; NULL where the product overflows."""
    total = _product(n, size)
    return k.slab.kmalloc(total, flags | _ZERO) if total >= 0 else slab_common.overflowed(k, "kcalloc", n, size)


@api(since="3.4", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kfree", fails=True)
def kmalloc_array(k: Kernel, n: int, size: int, flags: int) -> Ptr:
    """Allocate an array of ``n`` elements; NULL where the product overflows."""
    total = _product(n, size)
    return k.slab.kmalloc(total, flags) if total >= 0 else slab_common.overflowed(k, "kmalloc_array", n, size)


@api(since="4.15", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kfree", fails=True)
def kmalloc_array_node(k: Kernel, n: int, size: int, flags: int, node: int) -> Ptr:
    """Allocate an array from a node."""
    total = _product(n, size)
    if total < 0:
        return slab_common.overflowed(k, "kmalloc_array_node", n, size)
    return k.slab.kmalloc(total, flags, node)


@api(since="4.15", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kfree", fails=True)
def kcalloc_node(k: Kernel, n: int, size: int, flags: int, node: int) -> Ptr:
    """Allocate a zeroed array from a node."""
    total = _product(n, size)
    if total < 0:
        return slab_common.overflowed(k, "kcalloc_node", n, size)
    return k.slab.kmalloc(total, flags | _ZERO, node)


@api(since="2.6.34", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kfree", fails=True)
def kmalloc_track_caller(k: Kernel, size: int, flags: int) -> Ptr:
    """``kmalloc()`` for helpers that allocate on behalf of their caller."""
    return k.slab.kmalloc(size, flags)


@api(
    since="2.6.22",
    sleeps=Sleeps.GFP,
    illegal=Where.NMI,
    undo="kfree",
    fails=True,
    sleeper="sleep-conditionally-in-atomic",
)
def krealloc(k: Kernel, p: Any, new_size: int, flags: int) -> Ptr:
    """Resize; contents are kept, and on NULL the old memory stays as it is. Size 0 frees."""
    return _krealloc.krealloc(k, _p(p), new_size, flags)


@api(
    since="5.11",
    sleeps=Sleeps.GFP,
    illegal=Where.NMI,
    undo="kfree",
    fails=True,
    sleeper="sleep-conditionally-in-atomic",
)
def krealloc_array(k: Kernel, p: Any, new_n: int, new_size: int, flags: int) -> Ptr:
    """Resize an array; NULL where the product overflows."""
    total = _product(new_n, new_size)
    if total < 0:
        return slab_common.overflowed(k, "krealloc_array", new_n, new_size)
    return _krealloc.krealloc(k, _p(p), total, flags)


@api(since="1.0", illegal=Where.NMI)
def kfree(k: Kernel, objp: Any) -> None:
    """Give kmalloc()ed memory back; NULL and ZERO_SIZE_PTR are nothing to do."""
    if objp.__class__ is Ptr:
        k.slab.kfree(objp)
    elif typed.is_typed(k, objp):
        typed.free(k, objp)
    else:
        k.slab.kfree(_p(objp))


@api(since="5.9", illegal=Where.NMI)
def kfree_sensitive(k: Kernel, objp: Any) -> None:
    """Clear memory that held a secret, and give it back."""
    _krealloc.kfree_sensitive(k, _p(objp))


@api(since="2.6.30", until="5.10", replaced_by="kfree_sensitive", illegal=Where.NMI)
def kzfree(k: Kernel, objp: Any) -> None:
    """``kfree_sensitive()`` before 5.9."""
    _krealloc.kfree_sensitive(k, _p(objp))


@api(since="4.0", illegal=Where.NMI)
def kfree_const(k: Kernel, x: Any) -> None:
    """Give back what ``kstrdup_const()`` returned; a literal is nothing to do."""
    util.kfree_const(k, x if isinstance(x, str | bytes) else _p(x))


@api(since="2.6.12")
def ksize(k: Kernel, objp: Any) -> int:
    """How many bytes may be used at ``objp``, at least those that were asked for."""
    return _krealloc.ksize(k, _p(objp))


def kmalloc_size_roundup(size: int) -> int:
    """The bytes that a kmalloc() of ``size`` would really give."""
    if size > KMALLOC_MAX_CACHE_SIZE:
        return size if size == SIZE_MAX else PAGE_SIZE << _get_order(size)
    return next((n for n in KMALLOC_SIZES if n >= size), 0) if size else 0


# -- kvmalloc() -----------------------------------------------------------------------------------


@api(since="4.12", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kvfree", fails=True)
def kvmalloc(k: Kernel, size: int, flags: int) -> Ptr:
    """Allocate from the slab allocator, or from vmalloc where that has no ``size`` bytes in one piece."""
    return util.kvmalloc_node(k, size, flags)


@api(since="4.12", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kvfree", fails=True)
def kvzalloc(k: Kernel, size: int, flags: int) -> Ptr:
    """``kvmalloc()`` of zeroed bytes."""
    return util.kvmalloc_node(k, size, flags | _ZERO)


@api(since="4.12", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kvfree", fails=True)
def kvmalloc_node(k: Kernel, size: int, flags: int, node: int) -> Ptr:
    """``kvmalloc()`` from a node."""
    return util.kvmalloc_node(k, size, flags, node)


@api(since="4.12", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kvfree", fails=True)
def kvzalloc_node(k: Kernel, size: int, flags: int, node: int) -> Ptr:
    """``kvzalloc()`` from a node."""
    return util.kvmalloc_node(k, size, flags | _ZERO, node)


@api(since="4.12", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kvfree", fails=True)
def kvmalloc_array(k: Kernel, n: int, size: int, flags: int) -> Ptr:
    """``kvmalloc()`` of an array; NULL where the product overflows."""
    total = _product(n, size)
    if total < 0:
        return slab_common.overflowed(k, "kvmalloc_array", n, size)
    return util.kvmalloc_node(k, total, flags)


@api(since="4.18", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kvfree", fails=True)
def kvcalloc(k: Kernel, n: int, size: int, flags: int) -> Ptr:
    """``kvmalloc()`` of a zeroed array."""
    total = _product(n, size)
    if total < 0:
        return slab_common.overflowed(k, "kvcalloc", n, size)
    return util.kvmalloc_node(k, total, flags | _ZERO)


@api(
    since="5.15",
    sleeps=Sleeps.GFP,
    illegal=Where.NMI,
    undo="kvfree",
    fails=True,
    sleeper="sleep-conditionally-in-atomic",
)
def kvrealloc(k: Kernel, p: Any, oldsize: int, newsize: int, flags: int) -> Ptr:
    """Grow kvmalloc()ed memory whose size was ``oldsize``."""
    return util.kvrealloc(k, _p(p), oldsize, newsize, flags)


@api(since="3.15", illegal=Where.NMI)
def kvfree(k: Kernel, addr: Any) -> None:
    """Give back what kvmalloc(), kmalloc() or vmalloc() gave. May sleep, but in an interrupt, which puts it off."""
    util.kvfree(k, _p(addr))


@api(since="5.9", illegal=Where.NMI)
def kvfree_sensitive(k: Kernel, addr: Any, len: int) -> None:
    """Clear ``len`` bytes that held a secret, and give the memory back."""
    util.kvfree_sensitive(k, _p(addr), len)


# -- caches ---------------------------------------------------------------------------------------


@api(since="2.2", sleeps=Sleeps.ALWAYS, undo="kmem_cache_destroy", fails=True, sleeper="cache-create-atomic")
def kmem_cache_create(
    k: Kernel,
    name: str | bytes | None,
    size: int,
    align: int,
    flags: int,
    ctor: Callable[..., Any] | Ptr | None = None,
    *dtor: Callable[..., Any] | Ptr | None,
) -> KmemCache | Ptr:
    """Make a cache of objects of ``size`` bytes; NULL if it can't be. ``ctor`` runs on every object of a new slab."""
    return slab_common.kmem_cache_create(
        k, name or None, size, align, flags, _callback(ctor), dtor=_callback(*dtor) if dtor else None, old=bool(dtor)
    )


@api(since="4.16", sleeps=Sleeps.ALWAYS, undo="kmem_cache_destroy", fails=True, sleeper="cache-create-atomic")
def kmem_cache_create_usercopy(
    k: Kernel,
    name: str | bytes | None,
    size: int,
    align: int,
    flags: int,
    useroffset: int,
    usersize: int,
    ctor: Callable[..., Any] | Ptr | None = None,
) -> KmemCache | Ptr:
    """Make a cache of which only ``[useroffset, useroffset + usersize)`` may be copied from and to users."""
    return slab_common.kmem_cache_create(
        k, name or None, size, align, flags, _callback(ctor), useroffset=useroffset, usersize=usersize
    )


def _callback(function: Any) -> Any:
    """A function pointer, None for NULL."""
    return function if function and callable(function) else None


def KMEM_CACHE(struct: type[Struct], flags: int) -> KmemCache | Ptr:
    """Make a cache of a Struct's objects, named after it."""
    layout = struct.layout(current.get().layout.bits)
    cache: KmemCache | Ptr = kmem_cache_create(struct.__name__, layout.size, layout.align, flags, None)
    return cache


def KMEM_CACHE_USERCOPY(struct: type[Struct], flags: int, field: str) -> KmemCache | Ptr:
    """Make a cache of a Struct's objects of which one member may be copied from and to users."""
    layout = struct.layout(current.get().layout.bits)
    cache: KmemCache | Ptr = kmem_cache_create_usercopy(
        struct.__name__, layout.size, layout.align, flags, layout.offsets[field], layout.sizes[field], None
    )
    return cache


@api(since="2.3", sleeps=Sleeps.ALWAYS, sleeper="cache-create-atomic")
def kmem_cache_destroy(k: Kernel, s: KmemCache | Ptr | None) -> None:
    """Give a cache up; all its objects must have been freed. NULL is nothing to do."""
    if s is not None:
        slab_common.kmem_cache_destroy(k, s)


@api(since="2.2", sleeps=Sleeps.ALWAYS, sleeper="cache-create-atomic")
def kmem_cache_shrink(k: Kernel, s: KmemCache) -> int:
    """Give empty slabs back; 0 if no slab is left."""
    return slab_common.kmem_cache_shrink(k, s)


def kmem_cache_size(s: KmemCache) -> int:
    """The bytes of an object, as given at creation."""
    return s.object_size


def kmem_cache_name(s: KmemCache) -> str:
    """The cache's name."""
    return s.name


@api(since="2.2", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kmem_cache_free", fails=True)
def kmem_cache_alloc(k: Kernel, cachep: KmemCache, flags: int) -> Ptr:
    """Allocate an object: as its constructor left it, or with undefined contents; NULL without memory."""
    return k.slab.kmem_cache_alloc(cachep, flags)


@api(since="2.6.17", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kmem_cache_free", fails=True)
def kmem_cache_zalloc(k: Kernel, cachep: KmemCache, flags: int) -> Ptr:
    """Allocate a zeroed object, of a cache without constructor."""
    return k.slab.kmem_cache_alloc(cachep, flags | _ZERO)


@api(since="2.6.7", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="kmem_cache_free", fails=True)
def kmem_cache_alloc_node(k: Kernel, cachep: KmemCache, flags: int, node: int) -> Ptr:
    """Allocate an object from a node, or from another where that has none."""
    return k.slab.kmem_cache_alloc(cachep, flags, node)


@api(since="2.2", illegal=Where.NMI)
def kmem_cache_free(k: Kernel, cachep: KmemCache, objp: Any) -> None:
    """Give an object back to its cache. NULL is a mistake."""
    k.slab.kmem_cache_free(cachep, _p(objp))


@api(since="4.3", sleeps=Sleeps.GFP, illegal=Where.HARDIRQ | Where.NMI, undo="kmem_cache_free_bulk", fails=True)
def kmem_cache_alloc_bulk(k: Kernel, s: KmemCache, flags: int, size: int) -> tuple[int, list[Ptr]]:
    """Allocate ``size`` objects or none: how many, and the list of them."""
    return slab_bulk.alloc_bulk(k, s, flags, size)


@api(since="4.3", illegal=Where.NMI)
def kmem_cache_free_bulk(k: Kernel, s: KmemCache | None, size: int, p: list[Any]) -> None:
    """Give the first ``size`` objects of a list back."""
    slab_bulk.free_bulk(k, s if isinstance(s, KmemCache) else None, [_p(x) for x in p[:size]], size)


@api(since="4.7", illegal=Where.NMI)
def kfree_bulk(k: Kernel, size: int, p: list[Any]) -> None:
    """``kfree()`` of the first ``size`` pointers of a list."""
    slab_bulk.free_bulk(k, None, [_p(x) for x in p[:size]], size)


__getattr__ = header_getattr(
    __name__,
    {"kmem_cache_alloc_lru", "kmem_dump_obj", "kmem_valid_obj", "kmem_find_general_cachep", "kmem_ptr_validate"},
)
_OWN = [
    "ARCH_KMALLOC_MINALIGN",
    "ARCH_SLAB_MINALIGN",
    "KMALLOC_MAX_CACHE_SIZE",
    "KMALLOC_MAX_SIZE",
    "KMALLOC_MIN_SIZE",
    "KMALLOC_SHIFT_HIGH",
    "KMALLOC_SHIFT_LOW",
    "KMEM_CACHE",
    "KMEM_CACHE_USERCOPY",
    "PAGE_SIZE",
    "SIZE_MAX",
    "SLAB_ACCOUNT",
    "SLAB_ATOMIC",
    "SLAB_CACHE_DMA",
    "SLAB_CACHE_DMA32",
    "SLAB_CONSISTENCY_CHECKS",
    "SLAB_CTOR_ATOMIC",
    "SLAB_CTOR_CONSTRUCTOR",
    "SLAB_CTOR_VERIFY",
    "SLAB_DEBUG_FREE",
    "SLAB_DEBUG_INITIAL",
    "SLAB_DEBUG_OBJECTS",
    "SLAB_DESTROY_BY_RCU",
    "SLAB_DMA",
    "SLAB_FAILSLAB",
    "SLAB_HWCACHE_ALIGN",
    "SLAB_KASAN",
    "SLAB_KERNEL",
    "SLAB_KMALLOC",
    "SLAB_MEM_SPREAD",
    "SLAB_MUST_HWCACHE_ALIGN",
    "SLAB_NOFS",
    "SLAB_NOIO",
    "SLAB_NOLEAKTRACE",
    "SLAB_NO_REAP",
    "SLAB_NO_USER_FLAGS",
    "SLAB_PANIC",
    "SLAB_POISON",
    "SLAB_RECLAIM_ACCOUNT",
    "SLAB_RED_ZONE",
    "SLAB_SKIP_KFENCE",
    "SLAB_STORE_USER",
    "SLAB_TEMPORARY",
    "SLAB_TRACE",
    "SLAB_TYPESAFE_BY_RCU",
    "SLAB_USER",
    "ZERO_OR_NULL_PTR",
    "ZERO_SIZE_PTR",
    "kcalloc",
    "kcalloc_node",
    "kfree",
    "kfree_bulk",
    "kfree_const",
    "kfree_sensitive",
    "kmalloc",
    "kmalloc_array",
    "kmalloc_array_node",
    "kmalloc_node",
    "kmalloc_size_roundup",
    "kmalloc_track_caller",
    "kmem_cache",
    "kmem_cache_alloc",
    "kmem_cache_alloc_bulk",
    "kmem_cache_alloc_node",
    "kmem_cache_create",
    "kmem_cache_create_usercopy",
    "kmem_cache_destroy",
    "kmem_cache_free",
    "kmem_cache_free_bulk",
    "kmem_cache_name",
    "kmem_cache_shrink",
    "kmem_cache_size",
    "kmem_cache_t",
    "kmem_cache_zalloc",
    "krealloc",
    "krealloc_array",
    "ksize",
    "kvcalloc",
    "kvfree",
    "kvfree_sensitive",
    "kvmalloc",
    "kvmalloc_array",
    "kvmalloc_node",
    "kvrealloc",
    "kvzalloc",
    "kvzalloc_node",
    "kzalloc",
    "kzalloc_node",
    "kzfree",
]
__all__ = sorted({*_OWN, *_gfp})  # noqa: PLE0605 -- a list
