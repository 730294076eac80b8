"""What every slab allocator offers (``mm/slab_common.c``): creating and destroying caches, resizing, /proc/slabinfo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_MASK
from kmock.lang.ptr import Ptr, make_ptr
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.slab import KmemCache, SlabObject
from kmock.mm.slab_layout import (
    KMALLOC_MAX_SIZE,
    KMALLOC_SIZES,
    SLAB_CACHE_DMA32,
    SLAB_FLAGS_PERMITTED,
    SLAB_HWCACHE_ALIGN,
    SLAB_MERGE_SAME,
    SLAB_NEVER_MERGE,
    SLAB_NOLEAKTRACE,
    SLAB_PANIC,
    align_up,
    calculate_alignment,
)
from kmock.mm.slub import KMALLOC_TYPES
from kmock.sanitizers.describe import origin_stacks
from kmock.sanitizers.object import FailedAllocation
from kmock.sanitizers.slub_debug import slab_line
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.machine import Kernel
    from kmock.mm.slab import Slab

EINVAL: Final = 22

# Flags of 2.6 whose bits mean something else by now; the first two lost their meaning, the third was renamed.
SLAB_DEBUG_INITIAL: Final = 0x200
SLAB_NO_REAP: Final = 0x1000
SLAB_MUST_HWCACHE_ALIGN: Final = 0x8000

KMEM_CACHE_SIZE: Final = 216
"""Size of ``struct kmem_cache`` itself, as recorded."""

# -- creating -------------------------------------------------------------------------------------


def kmem_cache_create(
    k: Kernel,
    name: str | bytes | None,
    size: int,
    align: int,
    flags: int,
    ctor: Callable[..., Any] | None,
    *,
    useroffset: int = 0,
    usersize: int = 0,
    dtor: Callable[..., Any] | None = None,
    old: bool = False,
) -> KmemCache | Ptr:
    """``kmem_cache_create_usercopy()``: a cache, or NULL. ``old`` is the six-argument form of 2.6.21 and before."""
    slub = k.slab
    text = name.decode() if isinstance(name, bytes) else name
    k.atomic_sleep.might_sleep("kernel/locking/mutex.c:580", "cache-create-atomic")
    if old:
        flags = _modern(flags)
    if not _sane(k, text, size):
        return _refused(k, text or "(null)", flags)
    assert text is not None
    if flags & ~SLAB_FLAGS_PERMITTED:
        return _refused(k, text, flags)
    useroffset, usersize = _window(k, text, size, useroffset, usersize)
    _same_name(k, text)
    merged = None if usersize else find_mergeable(k, text, size, align, flags, ctor=ctor is not None)
    if merged is not None:
        merged.merge(size)
        return merged
    word = k.layout.bits // 8
    layout = slub.layout(text, size, calculate_alignment(flags, align, size, word), flags, ctor=ctor is not None)
    if layout is None or not size:
        return _refused(k, text, flags)
    cache = KmemCache(text, layout, ctor)
    cache.useroffset, cache.usersize = useroffset, usersize
    cache.dtor = dtor
    cache.old_ctor = old
    p = slub.alloc(_kmem_cache(k), KMEM_CACHE_SIZE, GFP_KERNEL)
    if not p:
        return _refused(k, text, flags, -12)
    assert isinstance(p.origin, SlabObject)
    cache.struct = p.origin
    cache.struct.written = None
    if all(other.struct is None for other in slub.caches):
        k.census.register(lambda: slub.report_caches(lambda _stack: True))
    return slub.add_cache(cache)


def _kmem_cache(k: Kernel) -> KmemCache:
    """The cache of caches."""
    found = next((c for c in k.slab.caches if c.name == "kmem_cache"), None)
    if found is None:
        # Its own objects are the kernel's, not the driver's, and no leak of anybody's.
        align = calculate_alignment(SLAB_HWCACHE_ALIGN, 8, KMEM_CACHE_SIZE)
        layout = k.slab.layout("kmem_cache", KMEM_CACHE_SIZE, align, SLAB_HWCACHE_ALIGN | SLAB_NOLEAKTRACE)
        assert layout is not None
        found = k.slab.add_cache(KmemCache("kmem_cache", layout))
        found.refcount = -1
    return found


def _modern(flags: int) -> int:
    """Translate the flags of 2.6 to those of today."""
    if flags & SLAB_MUST_HWCACHE_ALIGN:
        flags |= SLAB_HWCACHE_ALIGN
    return flags & ~(SLAB_DEBUG_INITIAL | SLAB_NO_REAP | SLAB_CACHE_DMA32)


def _in_interrupt(k: Kernel) -> bool:
    return bool(k.cpu.preempt_count & (NMI_MASK | HARDIRQ_MASK | SOFTIRQ_MASK))


def _sane(k: Kernel, name: str | None, size: int) -> bool:
    """``kmem_cache_sanity_check()``."""
    if not k.config.debug_vm and name:
        return True
    if not name or _in_interrupt(k) or size > KMALLOC_MAX_SIZE:
        k.log.write(f"kmem_cache_create({name or '(null)'}) integrity check failed")
        return False
    if " " in name:
        k.warn("cache-create-bad", "mm/slab_common.c:97", "kmem_cache_create_usercopy", attributes={"name": name})
    return True


def _refused(k: Kernel, name: str, flags: int, error: int = -EINVAL) -> Ptr:
    if flags & SLAB_PANIC:
        k.panic(f"kmem_cache_create_usercopy: Failed to create slab '{name}'. Error {error}")
    headline = f"kmem_cache_create_usercopy({name}) failed with error {error}"
    # In an interrupt it has been reported already that this is no place for it.
    if error == -EINVAL and not _in_interrupt(k):
        k.report("cache-create-bad", headline, attributes={"name": name})
    else:
        k.log.write(headline)
    return make_ptr(0, FailedAllocation("kmem_cache_create", KMEM_CACHE_SIZE, capture(3)))


def _window(k: Kernel, name: str, size: int, useroffset: int, usersize: int) -> tuple[int, int]:
    """Check the usercopy window; a bad one counts as none."""
    for bad, line in ((not usersize and useroffset, 320), (size < usersize or size - usersize < useroffset, 321)):
        if bad:
            at = f"mm/slab_common.c:{line}"
            k.warn("cache-create-bad", at, "kmem_cache_create_usercopy", attributes={"name": name})
            return 0, 0
    return useroffset, usersize


def _same_name(k: Kernel, name: str) -> None:
    """Report a second cache of a name: legal in 6.1, but nobody can tell the two apart."""
    if any(cache.name == name and not cache.destroyed for cache in k.slab.caches):
        headline = "BUG: kmock: cache-create-bad in kmem_cache_create()"
        k.report(
            "cache-create-bad", headline, lines=[f"a cache named {name} exists already"], attributes={"name": name}
        )


def find_mergeable(k: Kernel, name: str, size: int, align: int, flags: int, *, ctor: bool) -> KmemCache | None:
    """Return a cache that can serve for a new one as well (``find_mergeable()``)."""
    config = k.config
    wanted = config.boot_arg("slab_merge") is not None or config.boot_arg("slub_merge") is not None
    never = config.boot_arg("slab_nomerge") is not None or config.boot_arg("slub_nomerge") is not None
    # A kernel with KASAN never merges; on another it is the default, as recorded.
    if never or ctor or (config.kasan and not wanted):
        return None
    word = k.layout.bits // 8
    size = align_up(size, word)
    align = calculate_alignment(flags, align, size, word)
    size = align_up(size, align)
    flags = k.slab.options.for_cache(name, flags)
    if flags & SLAB_NEVER_MERGE:
        return None
    return next((c for c in k.slab.caches if _takes(c, size, align, flags)), None)


def _takes(cache: KmemCache, size: int, align: int, flags: int) -> bool:
    return (
        not cache.flags & SLAB_NEVER_MERGE
        and cache.ctor is None
        and not cache.usersize
        and cache.refcount > 0
        and not cache.destroyed
        and size <= cache.size < size + 8
        and flags & SLAB_MERGE_SAME == cache.flags & SLAB_MERGE_SAME
        and cache.size % align == 0
    )


def overflowed(k: Kernel, call: str, n: int, size: int) -> Ptr:
    """The NULL of an array allocation whose size does not fit size_t."""
    return make_ptr(0, FailedAllocation(call, n * size, capture(2)))


# -- destroying -----------------------------------------------------------------------------------


def kmem_cache_destroy(k: Kernel, cache: KmemCache | Ptr) -> None:
    """``kmem_cache_destroy()``; NULL is nothing to do."""
    if not isinstance(cache, KmemCache):
        return
    if not usable(k, cache, "cache-destroy-twice"):
        return
    k.atomic_sleep.might_sleep("include/linux/percpu-rwsem.h:49", "cache-create-atomic")
    cache.refcount -= 1
    if cache.refcount > 0:
        return
    slub = k.slab
    if slub.quarantine is not None:
        slub.put_back_all(slub.quarantine.remove_cache(cache))
    slub.flush(cache)
    if k.cpu.irqs_off:
        k.bug("cache-create-atomic", "mm/slub.c:4425")
    if _give_back_empty(k, cache):
        _busy(k, cache)
        return
    cache.destroyed = True
    slub.caches.remove(cache)
    if cache.struct is not None:
        slub.release(cache.struct)


def usable(k: Kernel, cache: KmemCache, kind: str) -> bool:
    """Whether ``cache`` was not destroyed; report its use if it was (``kasan_check_byte()``)."""
    if not cache.destroyed:
        return True
    about = cache.struct
    assert about is not None
    symbol = k.symbol(k.capture())
    headline = f"BUG: KASAN: use-after-free in {symbol}" if k.kasan.on else f"BUG: kmock: {kind} in {symbol}"
    k.report(
        kind,
        headline,
        lines=[
            f"Read of size 1 at addr {about.addr:016x} by task {k.current!r}",
            *k.kasan.describe(about.addr, about),
        ],
        stacks={"access": k.capture(), **origin_stacks(about)},
        object=k.kasan.info(about, about.addr),
        key=(cache, "destroyed"),
        taint="B",
    )
    return False


def _give_back_empty(k: Kernel, cache: KmemCache) -> bool:
    """Give back every slab without objects; return whether others are left."""
    for node in cache.nodes.values():
        for slab in [slab for slab in node.partial if slab.empty]:
            del node.partial[slab]
            k.slab.discard(slab)
    return bool(cache.slabs)


def _busy(k: Kernel, cache: KmemCache) -> None:
    """Report a cache that was destroyed with objects in it; it stays, and its objects can still be freed."""
    lines: list[str] = []
    headline = ""
    for node in cache.nodes.values():
        for slab in node.partial:
            said = f"BUG {cache.name} ({k.taint_text}): Objects remaining in {cache.name} on __kmem_cache_shutdown()"
            lines += [said] if headline else []
            headline = headline or said
            lines += [slab_line(slab), *_remaining(k, slab)]
    stack = k.capture()
    last = f"kmem_cache_destroy {cache.name}: Slab cache still has objects when called from {k.symbol(stack)}"
    cpu = k.cpu
    at = f"WARNING: CPU: {cpu.id} PID: {cpu.task.pid} at mm/slab_common.c:493 kmem_cache_destroy+0x0/0x0"
    lines += [last, at] if headline else [at]
    first = next(cache.live(), None)
    k.report(
        _busy_kind(k, cache),
        headline or last,
        lines=lines,
        stacks={"access": stack, **(origin_stacks(first) if first is not None else {})},
        object=k.kasan.info(first, first.addr) if first is not None else None,
        key=(cache, "busy"),
        taint="BW" if headline else "W",
        attributes={"cache": cache.name, "objects": sum(1 for _ in cache.live())},
    )
    for o in cache.live():
        # Objects that nobody can give back any more are this finding, not one leak each.
        k.census.told(o)


def _busy_kind(k: Kernel, cache: KmemCache) -> str:
    """Objects that only wait for a grace period are another mistake than forgotten ones."""
    pending = k.slab.pending_rcu
    waiting = [o for o in cache.live() if o.seq in pending]
    return (
        "cache-destroy-rcu-pending"
        if waiting and len(waiting) == sum(1 for _ in cache.live())
        else "cache-destroy-busy"
    )


def _remaining(k: Kernel, slab: Slab) -> Iterator[str]:
    free = {*slab.free, *slab.remote}
    for index in range(slab.objects):
        if index not in free:
            yield f"Object 0x{slab.address(index):016x} @offset={slab.address(index) - slab.base}"
            if slab.cache.layout.store_user:
                yield from k.slab.debug.tracking(slab.records[index])


def kmem_cache_shrink(k: Kernel, cache: KmemCache) -> int:
    """``kmem_cache_shrink()``: give empty slabs back; 0 if none is left, else 1."""
    k.atomic_sleep.might_sleep("include/linux/percpu-rwsem.h:49", "cache-create-atomic")
    slub = k.slab
    if slub.quarantine is not None:
        slub.put_back_all(slub.quarantine.remove_cache(cache))
    slub.flush(cache)
    return int(_give_back_empty(k, cache))


# -- /proc/slabinfo -------------------------------------------------------------------------------


def slabinfo(k: Kernel) -> str:
    """The text of ``/proc/slabinfo``."""
    for bit, _, _ in (*KMALLOC_TYPES, (0, "", 0)):
        for index in range(len(KMALLOC_SIZES)):
            k.slab.kmalloc_cache(index, bit)
    _kmem_cache(k)
    return (
        "slabinfo - version: 2.1\n"
        "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
        " : tunables <limit> <batchcount> <sharedfactor>"
        " : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
    ) + "".join(_slabinfo_line(cache) + "\n" for cache in reversed(k.slab.caches))


def _slabinfo_line(cache: KmemCache) -> str:
    layout = cache.layout
    slabs = len(cache.slabs)
    total = sum(slab.objects for slab in cache.slabs)
    # Free objects of slabs that a CPU holds count as used: SLUB does not look there.
    free = sum(slab.objects - slab.inuse for node in cache.nodes.values() for slab in node.partial)
    return (
        f"{cache.name:<17} {total - free:6} {total:6} {cache.size:6} {layout.objects:4} {1 << layout.order:4}"
        f" : tunables {0:4} {0:4} {0:4} : slabdata {slabs:6} {slabs:6} {0:6}"
    )
