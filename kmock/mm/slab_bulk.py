"""Many objects in one call (``kmem_cache_alloc_bulk()``, ``kmem_cache_free_bulk()`` in ``mm/slub.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel.preempt import irqs_on
from kmock.lang.ptr import NULL
from kmock.mm.slab import Slab, SlabObject
from kmock.sanitizers.describe import origin_stacks

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.slab import KmemCache
    from kmock.sanitizers.object import Allocation


def alloc_bulk(k: Kernel, cache: KmemCache, gfp: int, n: int) -> tuple[int, list[Ptr]]:
    """Allocate ``n`` objects; 0 and no list where one of them can't be had."""
    slub = k.slab
    if k.cpu.irqs_off:
        _turns_irqs_on(k)
    objects: list[Ptr] = []
    for _ in range(n):
        p = slub.kmem_cache_alloc(cache, gfp)
        if not p:
            for taken in objects:
                slub.kmem_cache_free(cache, taken)
            return 0, []
        objects.append(p)
    return n, objects


def _turns_irqs_on(k: Kernel) -> None:
    """``local_unlock_irq()`` at the end of the call does not ask how it was before."""
    k.report(
        "irqs-enabled-inside-irqsave",
        "BUG: kmock: irqs-enabled-inside-irqsave in kmem_cache_alloc_bulk()",
        lines=["it is for callers with interrupts on, and turns them on whatever they were"],
        key=("irqs-on", k.cpu.id, k.cpu.section),
        hint="allocate before interrupts are turned off, or one by one with kmem_cache_alloc()",
    )
    irqs_on(k)


def free_bulk(k: Kernel, cache: KmemCache | None, objects: list[Ptr], n: int) -> None:
    """Free the ``n`` objects of ``cache``, or kmalloc()ed ones where that is None."""
    slub = k.slab
    by = "kmem_cache_free_bulk" if cache is not None else "kfree_bulk"
    if n > len(objects):
        _report(k, by, f"the list has {len(objects)} objects, not {n}")
    kept = _checked(k, by, objects)
    for ptr in kept:
        if cache is None:
            slub.kfree(ptr)
        else:
            slub.kmem_cache_free(_its_cache(k, by, cache, ptr), ptr)


def _its_cache(k: Kernel, by: str, cache: KmemCache, ptr: Ptr) -> KmemCache:
    """Return the cache that ``ptr`` is freed into, which is its own (``cache_from_obj()``); report one of another."""
    slab = _slab_of(k, ptr)
    if slab is None or slab.cache is cache:
        return cache
    _report(k, by, f"an object in the list is of cache {slab.cache.name}, not of {cache.name}", ptr)
    return slab.cache


def _checked(k: Kernel, by: str, objects: list[Ptr]) -> list[Ptr]:
    """Report NULL and repeated pointers; return what the kernel really frees of the list."""
    seen: set[int] = set()
    for ptr in objects:
        if not ptr or int(ptr) in seen:
            _report(k, by, "an object is in the list twice" if ptr else "the list has NULL in it", ptr)
        seen.add(int(ptr))
    if len(seen) == len(objects):
        return [ptr for ptr in objects if ptr]
    # The list is linked through the objects, from the last to the first: a repeated one makes a ring of
    # it, and what follows its second mention is lost.
    order = _chain(k, [ptr for ptr in objects if ptr])
    return list(dict.fromkeys(order))


def _chain(k: Kernel, objects: list[Ptr]) -> list[Ptr]:
    """Return the objects in the order in which the detached free lists reach them (``build_detached_freelist()``)."""
    freed: list[Ptr] = []
    for group in _by_slab(k, objects):
        link: dict[int, Ptr | None] = {}
        head: Ptr | None = None
        tail = group[-1]
        for ptr in reversed(group):
            link[int(ptr)] = head
            head = ptr
        at = head
        while at is not None:
            freed.append(at)
            at = None if int(at) == int(tail) else link[int(at)]
    return freed


def _by_slab(k: Kernel, objects: list[Ptr]) -> list[list[Ptr]]:
    groups: dict[Slab | None, list[Ptr]] = {}
    for ptr in objects:
        groups.setdefault(_slab_of(k, ptr), []).append(ptr)
    return list(groups.values())


def _slab_of(k: Kernel, ptr: Ptr) -> Slab | None:
    page = k.memmap.pages.get(int(ptr) - k.layout.page_offset >> 12)
    return page.owner if page is not None and isinstance(page.owner, Slab) else None


def _report(k: Kernel, by: str, said: str, ptr: Ptr = NULL) -> None:
    about: Allocation | None = ptr.origin if isinstance(ptr.origin, SlabObject) else None
    k.report(
        "cache-bulk-free-bad",
        f"BUG: kmock: cache-bulk-free-bad in {by}()",
        lines=[said, *(k.kasan.describe(int(ptr), about) if about is not None else [])],
        stacks={"access": k.capture(), **(origin_stacks(about) if about is not None else {})},
        object=k.kasan.info(about, int(ptr)) if about is not None else None,
        key=(about, "free") if about is not None else None,
        taint="B",
    )
