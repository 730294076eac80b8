"""Allocations that can't be: requests that no cache can serve, caches that are none, and memory that ran out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from kmock.lang.ptr import NULL, Ptr
from kmock.mm.gfp import __GFP_HIGHMEM as GFP_HIGHMEM
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.gfp import GFP_DMA32, gfp_text
from kmock.sanitizers.describe import origin_stacks

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.slab import KmemCache, SlabObject
    from kmock.stack import Stack

SIZE_MAX: Final = (1 << 64) - 1
GFP_BITS_MASK: Final = (1 << 28) - 1  # __GFP_BITS_SHIFT of a kernel with lockdep
GFP_SLAB_BUG_MASK: Final = ~GFP_BITS_MASK | GFP_HIGHMEM | GFP_DMA32
"""What no slab is ever allocated with."""

_HEADERS = "/kmock/linux/"


def fix_flags(k: Kernel, cache: KmemCache | None, gfp: int) -> int:
    """Report and take away gfp bits that no slab can have (``kmalloc_fix_flags()``)."""
    bad = gfp & GFP_SLAB_BUG_MASK
    good = gfp & ~GFP_SLAB_BUG_MASK
    k.report(
        "gfp-zone-to-slab",
        f"Unexpected gfp: {bad & 0xFFFFFFFF:#x} ({gfp_text(bad & 0xFFFFFFFF)}). "
        f"Fixing up to gfp: {good:#x} ({gfp_text(good)}). Fix your code!",
        key=("gfp", cache),
        attributes={"gfp": gfp},
    )
    return good


def wrapped_size(k: Kernel, size: int) -> int:
    """Report a size beyond size_t; return what C would have passed."""
    wrapped = size & SIZE_MAX
    k.report(
        "alloc-size-overflow",
        "BUG: kmock: alloc-size-overflow in kmalloc()",
        lines=[f"the size {size} does not fit size_t: in C, {wrapped} bytes would be allocated"],
        attributes={"size": size, "wrapped": wrapped},
    )
    return wrapped


def too_large(k: Kernel, size: int, gfp: int) -> None:
    """Warn of a size that no page order holds; a probing caller says __GFP_NOWARN and gets NULL in silence."""
    negative = size < 0 or 1 << 63 <= size < SIZE_MAX
    kind = "alloc-size-negative" if negative else "alloc-size-too-large"
    if not gfp & GFP_NOWARN:
        k.warn(kind, "mm/page_alloc.c:5634", "__alloc_pages", attributes={"size": size})
    elif negative:
        k.report(kind, f"BUG: kmock: {kind} in kmalloc()", attributes={"size": size})


def out_of_memory(k: Kernel, cache: KmemCache, gfp: int, node: int) -> None:
    """Log that a slab could not be had (``slab_out_of_memory()``)."""
    layout = cache.layout
    k.log.write(f"SLUB: Unable to allocate memory on node {node}, gfp={gfp:#x}({gfp_text(gfp)})")
    k.log.write(
        f"  cache: {cache.name}, object size: {cache.object_size}, buffer size: {cache.size}, "
        f"default order: {layout.order}, min order: {layout.min_order}"
    )
    for nid, n in cache.nodes.items():
        objects = sum(slab.objects for slab in cache.slabs if slab.node == nid)
        free = sum(len(slab.free) for slab in n.partial)
        k.log.write(f"  node {nid}: slabs: {n.nr_slabs}, objs: {objects}, free: {free}")


def no_cache(k: Kernel, cache: KmemCache | Ptr | None) -> NoReturn:
    """Allocating from what is no cache: the NULL of a failed creation, or a cache that was destroyed."""
    if cache is None:
        cache = NULL
    if isinstance(cache, Ptr):
        k.kasan.page_fault(int(cache) + 8, write=False, origin=cache.origin, by="kmem_cache_alloc")
    about = cache.struct
    lines = ["KASAN: maybe wild-memory-access in range [0xdead000000000100-0xdead000000000107]"] if k.kasan.on else []
    k.die(
        "cache-destroy-twice",
        "general protection fault, probably for non-canonical address 0xdead000000000100: "
        f"0000 [#{k.oopses + 1}] {k.build}",
        lines=[*lines, "RIP: 0010:kmem_cache_alloc+0x0/0x0"],
        stacks={"access": k.capture(), **(origin_stacks(about) if about is not None else {})},
        hint="the cache was destroyed before: allocate before kmem_cache_destroy(), or destroy later",
    )


def handed_out_twice(k: Kernel, o: SlabObject) -> None:
    """A free list that was corrupted hands out a living object; kmemleak notices and gives up."""
    if k.config.kmemleak:
        k.log.write(f"kmemleak: Cannot insert 0x{o.addr:x} into the object search tree (overlaps existing)")
        k.log.write("kmemleak: Kernel memory leak detector disabled")


def public_call(stack: Stack, otherwise: str) -> str:
    """The function of ``kmock/linux`` that the driver called, by a stack that passes it."""
    codes = (part for part in stack if not isinstance(part, int))
    return next((code.co_name for code in codes if _HEADERS in code.co_filename), otherwise)
