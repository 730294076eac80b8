"""What a slab looks like: where objects, red zones and metadata lie, and how many fit (``mm/slub.c``).

``calculate_sizes()``, ``calculate_order()``, ``kasan_cache_create()`` and the table of kmalloc size classes.
A layout follows from its arguments alone, so equal caches share one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

PAGE_SIZE: Final = 4096
MAX_ORDER: Final = 11

SLAB_CONSISTENCY_CHECKS: Final = 0x100
SLAB_RED_ZONE: Final = 0x400
SLAB_POISON: Final = 0x800
SLAB_KMALLOC: Final = 0x1000
SLAB_HWCACHE_ALIGN: Final = 0x2000
SLAB_CACHE_DMA: Final = 0x4000
SLAB_CACHE_DMA32: Final = 0x8000
SLAB_STORE_USER: Final = 0x10000
SLAB_RECLAIM_ACCOUNT: Final = 0x20000
SLAB_TEMPORARY: Final = SLAB_RECLAIM_ACCOUNT
SLAB_PANIC: Final = 0x40000
SLAB_TYPESAFE_BY_RCU: Final = 0x80000
SLAB_MEM_SPREAD: Final = 0x100000
SLAB_TRACE: Final = 0x200000
SLAB_DEBUG_OBJECTS: Final = 0x400000
SLAB_NOLEAKTRACE: Final = 0x800000
SLAB_FAILSLAB: Final = 0x2000000
SLAB_ACCOUNT: Final = 0x4000000
SLAB_KASAN: Final = 0x8000000
SLAB_NO_USER_FLAGS: Final = 0x10000000
SLAB_SKIP_KFENCE: Final = 0x20000000
OBJECT_POISON: Final = 0x80000000
"""``__OBJECT_POISON``: the object's own bytes are poisoned, which a constructor or RCU forbids."""

# The third argument of constructors up to 2.6.21.
SLAB_CTOR_CONSTRUCTOR: Final = 0x1
SLAB_CTOR_ATOMIC: Final = 0x2
SLAB_CTOR_VERIFY: Final = 0x4

SLAB_DEBUG_FLAGS: Final = SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_TRACE | SLAB_CONSISTENCY_CHECKS
DEBUG_DEFAULT_FLAGS: Final = SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER
DEBUG_METADATA_FLAGS: Final = SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER
SLAB_FLAGS_PERMITTED: Final = (
    SLAB_DEBUG_FLAGS
    | SLAB_HWCACHE_ALIGN
    | SLAB_CACHE_DMA
    | SLAB_CACHE_DMA32
    | SLAB_PANIC
    | SLAB_TYPESAFE_BY_RCU
    | SLAB_DEBUG_OBJECTS
    | SLAB_MEM_SPREAD
    | SLAB_NOLEAKTRACE
    | SLAB_RECLAIM_ACCOUNT
    | SLAB_ACCOUNT
    | SLAB_KMALLOC
    | SLAB_NO_USER_FLAGS
)
SLAB_NEVER_MERGE: Final = (
    SLAB_RED_ZONE
    | SLAB_POISON
    | SLAB_STORE_USER
    | SLAB_TRACE
    | SLAB_TYPESAFE_BY_RCU
    | SLAB_NOLEAKTRACE
    | SLAB_FAILSLAB
    | SLAB_KASAN
)
SLAB_MERGE_SAME: Final = SLAB_RECLAIM_ACCOUNT | SLAB_CACHE_DMA | SLAB_CACHE_DMA32 | SLAB_ACCOUNT

CACHE_LINE: Final = 64
KMALLOC_MIN_ALIGN: Final = 8
KMALLOC_MAX_CACHE_SIZE: Final = 2 * PAGE_SIZE
KMALLOC_MAX_SIZE: Final = PAGE_SIZE << (MAX_ORDER - 1)
MAX_OBJS_PER_PAGE: Final = 32767
SLUB_MAX_ORDER: Final = 3

KMALLOC_SIZES: Final = (8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)
KMALLOC_NAMES: Final = ("8", "16", "32", "64", "96", "128", "192", "256", "512", "1k", "2k", "4k", "8k")
# kmalloc_slab(): the class that serves (size + 7) // 8 words.
KMALLOC_CLASS: Final = tuple(
    next(i for i, size in enumerate(KMALLOC_SIZES) if size >= 8 * words)
    for words in range(KMALLOC_MAX_CACHE_SIZE // 8 + 1)
)

# Bytes per object: pid and stack handle of the allocation and of two deferred works; quarantine link and free track.
_KASAN_ALLOC_META = 16
_KASAN_FREE_META = 16
# addr, stack handle, cpu, pid, padding, time.
_TRACK = 32


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie in a slab, in bytes. Offsets count from the object's first byte."""

    object_size: int
    size: int
    """Distance from one object to the next."""
    align: int
    flags: int
    """Effective SLAB_* flags."""
    inuse: int
    """End of the object with its right red zone; metadata begins here."""
    offset: int
    """Place of the free pointer."""
    track_offset: int
    """Place of the allocation and free tracks, where kept."""
    pad_offset: int
    """Where metadata ends and padding begins."""
    red_left_pad: int
    order: int
    objects: int
    min_order: int
    min_objects: int
    quarantined: bool
    """Whether KASAN can keep freed objects back."""

    @property
    def red_zone(self) -> bool:
        """Whether red zones stand around objects."""
        return bool(self.flags & SLAB_RED_ZONE)

    @property
    def poison(self) -> bool:
        """Whether unused bytes are filled with patterns."""
        return bool(self.flags & SLAB_POISON)

    @property
    def object_poison(self) -> bool:
        """Whether free objects are filled with patterns."""
        return bool(self.flags & OBJECT_POISON)

    @property
    def store_user(self) -> bool:
        """Whether who allocated and freed is kept."""
        return bool(self.flags & SLAB_STORE_USER)

    @property
    def checked(self) -> bool:
        """Whether allocation and free check what they are given."""
        return bool(self.flags & SLAB_CONSISTENCY_CHECKS)

    @property
    def kasan(self) -> bool:
        """Whether objects carry KASAN's metadata."""
        return bool(self.flags & SLAB_KASAN)

    @property
    def typesafe(self) -> bool:
        """Whether memory keeps its type for a grace period after it was freed."""
        return bool(self.flags & SLAB_TYPESAFE_BY_RCU)

    @property
    def traced(self) -> bool:
        """Whether every operation is logged."""
        return bool(self.flags & SLAB_TRACE)

    @property
    def min_partial(self) -> int:
        """Empty slabs worth keeping on a node's partial list."""
        return max(5, min(10, (self.size.bit_length() - 1) // 2))

    @property
    def cpu_partial_slabs(self) -> int:
        """Slabs that may wait on a CPU's own partial list (``set_cpu_partial()``)."""
        if self.flags & SLAB_DEBUG_FLAGS:
            return 0
        wanted = 6 if self.size >= PAGE_SIZE else 24 if self.size >= 1024 else 52 if self.size >= 256 else 120
        return -(-wanted * 2 // self.objects)


def get_order(size: int) -> int:
    """The page order that holds ``size`` bytes."""
    return (size - 1 >> 12).bit_length()


def align_up(n: int, align: int) -> int:
    """``ALIGN()``; meant for powers of two, and as odd as in C for anything else."""
    return (n + align - 1) & ~(align - 1)


def calculate_alignment(flags: int, align: int, size: int, word: int = 8) -> int:
    """What alignment objects get when ``align`` is asked for."""
    if flags & SLAB_HWCACHE_ALIGN:
        line = CACHE_LINE
        while size <= line // 2:
            line //= 2
        align = max(align, line)
    return align_up(max(align, word), word)


def calculate_order(size: int, cpus: int, slub_max_order: int = SLUB_MAX_ORDER) -> int:
    """The order of a cache's slabs: enough objects for the CPUs, little waste; MAX_ORDER or more if none fits."""
    wanted = 4 * (cpus.bit_length() + 1)
    objects = min(wanted, (PAGE_SIZE << slub_max_order) // size)
    while objects > 1:
        for fraction in (16, 8, 4):
            order = _slab_order(size, objects, slub_max_order, fraction)
            if order <= slub_max_order:
                return order
        objects -= 1
    order = _slab_order(size, 1, slub_max_order, 1)
    return order if order <= slub_max_order else _slab_order(size, 1, MAX_ORDER, 1)


def _slab_order(size: int, objects: int, max_order: int, fraction: int) -> int:
    if PAGE_SIZE // size > MAX_OBJS_PER_PAGE:
        return get_order(size * MAX_OBJS_PER_PAGE) - 1
    order = get_order(objects * size)
    while order <= max_order:
        slab_size = PAGE_SIZE << order
        if slab_size % size <= slab_size // fraction:
            break
        order += 1
    return order


def _kasan_redzone(object_size: int) -> int:
    """``optimal_redzone()``."""
    for limit, redzone in (
        (64, 16),
        (128, 32),
        (512, 64),
        (4096, 128),
        (1 << 14, 256),
        (1 << 15, 512),
        (1 << 16, 1024),
    ):
        if object_size <= limit - redzone:
            return redzone
    return 2048


@functools.lru_cache(maxsize=1024)
def calculate_sizes(
    object_size: int, align: int, flags: int, *, ctor: bool, kasan: bool, cpus: int, word: int = 8, max_order: int = 3
) -> Layout | None:
    """Lay a cache out; None where one object is more than the page allocator can give."""
    size = align_up(object_size, word)
    flags &= ~OBJECT_POISON
    if flags & SLAB_POISON and not flags & SLAB_TYPESAFE_BY_RCU and not ctor:
        flags |= OBJECT_POISON
    if flags & SLAB_RED_ZONE and size == object_size:
        size += word
    inuse = size
    if flags & (SLAB_TYPESAFE_BY_RCU | SLAB_POISON) or (flags & SLAB_RED_ZONE and object_size < word) or ctor:
        offset = size
        size += word
    else:
        offset = object_size // 2 // word * word
    track_offset = size
    if flags & SLAB_STORE_USER:
        size += 2 * _TRACK
        if flags & SLAB_KMALLOC:
            size += 4
    quarantined = kasan
    if kasan:
        flags |= SLAB_KASAN
        size, quarantined = _kasan_sizes(object_size, size, kept=bool(flags & SLAB_TYPESAFE_BY_RCU) or ctor)
    pad_offset = size
    red_left_pad = 0
    if flags & SLAB_RED_ZONE:
        red_left_pad = align_up(word, align)
        size += word + red_left_pad
    size = align_up(size, align)
    order = calculate_order(size, cpus, max_order)
    if order >= MAX_ORDER:
        return None
    return Layout(
        object_size=object_size,
        size=size,
        align=align,
        flags=flags,
        inuse=inuse,
        offset=offset,
        track_offset=track_offset,
        pad_offset=pad_offset,
        red_left_pad=red_left_pad,
        order=order,
        objects=(PAGE_SIZE << order) // size,
        min_order=get_order(size),
        min_objects=(PAGE_SIZE << get_order(size)) // size,
        quarantined=quarantined,
    )


def _kasan_sizes(object_size: int, size: int, *, kept: bool) -> tuple[int, bool]:
    """Add KASAN's metadata and red zone; ``kept`` says that a freed object's bytes must stay as they are.

    What does not fit below KMALLOC_MAX_SIZE is left out; without free metadata there is no quarantine.
    """
    if size + _KASAN_ALLOC_META <= KMALLOC_MAX_SIZE:
        size += _KASAN_ALLOC_META
    quarantined = True
    if kept or object_size < _KASAN_FREE_META:
        if size + _KASAN_FREE_META <= KMALLOC_MAX_SIZE:
            size += _KASAN_FREE_META
        else:
            quarantined = False
    return max(size, min(object_size + _kasan_redzone(object_size), KMALLOC_MAX_SIZE)), quarantined


@dataclass(frozen=True, slots=True)
class DebugOptions:
    """The ``slub_debug=`` boot argument, read."""

    flags: int
    """For every cache."""
    blocks: tuple[tuple[int, tuple[str, ...]], ...]
    """Flags for the caches that a list names (a trailing ``*`` stands for any ending)."""
    low_order: bool
    """Option O: no debugging for caches whose slabs would grow by it."""

    def for_cache(self, name: str, flags: int) -> int:
        """Return the flags of a cache of that name created with ``flags`` (``kmem_cache_flags()``)."""
        if flags & SLAB_NO_USER_FLAGS:
            return flags
        for block_flags, names in self.blocks:
            for pattern in names:
                if name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern:
                    return flags | block_flags
        return flags | (self.flags & ~SLAB_STORE_USER if flags & SLAB_NOLEAKTRACE else self.flags)


_DEBUG_LETTERS: Final = {
    "f": SLAB_CONSISTENCY_CHECKS,
    "z": SLAB_RED_ZONE,
    "p": SLAB_POISON,
    "u": SLAB_STORE_USER,
    "t": SLAB_TRACE,
    "a": SLAB_FAILSLAB,
}


@functools.lru_cache(maxsize=64)
def parse_slub_debug(text: str | None) -> DebugOptions:
    """Read ``slub_debug=``; None where the argument was not given (``setup_slub_debug()``)."""
    if text is None:
        return DebugOptions(0, (), low_order=False)
    everywhere = 0 if text else DEBUG_DEFAULT_FLAGS
    blocks: list[tuple[int, tuple[str, ...]]] = []
    low_order = False
    for block in filter(None, text.split(";")):
        letters, comma, names = block.partition(",")
        low_order |= "o" in letters.lower()
        flags = 0 if letters else DEBUG_DEFAULT_FLAGS
        for letter in letters.lower():
            flags = 0 if letter == "-" else flags | _DEBUG_LETTERS.get(letter, 0)
        if comma:
            blocks.append((flags, tuple(filter(None, names.split(",")))))
        else:
            everywhere = flags
    return DebugOptions(everywhere, tuple(blocks), low_order)
