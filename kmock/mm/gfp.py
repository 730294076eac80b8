"""``gfp_t``: what an allocation may do and where it may look (``include/linux/gfp_types.h``, ``gfp.h``).

The values are those of Linux 6.1. Flags of older kernels that had another name stand for their successors.
"""

from __future__ import annotations

from typing import Final

from kmock.kernel.task import PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO, PF_MEMALLOC_PIN

# fmt: off
__GFP_DMA: Final            = 0x1
__GFP_HIGHMEM: Final        = 0x2
__GFP_DMA32: Final          = 0x4
__GFP_MOVABLE: Final        = 0x8
__GFP_RECLAIMABLE: Final    = 0x10
__GFP_HIGH: Final           = 0x20
__GFP_IO: Final             = 0x40
__GFP_FS: Final             = 0x80
__GFP_ZERO: Final           = 0x100
__GFP_ATOMIC: Final         = 0x200
__GFP_DIRECT_RECLAIM: Final = 0x400
__GFP_KSWAPD_RECLAIM: Final = 0x800
__GFP_WRITE: Final          = 0x1000
__GFP_NOWARN: Final         = 0x2000
__GFP_RETRY_MAYFAIL: Final  = 0x4000
__GFP_NOFAIL: Final         = 0x8000
__GFP_NORETRY: Final        = 0x10000
__GFP_MEMALLOC: Final       = 0x20000
__GFP_COMP: Final           = 0x40000
__GFP_NOMEMALLOC: Final     = 0x80000
__GFP_HARDWALL: Final       = 0x100000
__GFP_THISNODE: Final       = 0x200000
__GFP_ACCOUNT: Final        = 0x400000
__GFP_ZEROTAGS: Final       = 0x800000
__GFP_NOLOCKDEP: Final      = 0x8000000

__GFP_RECLAIM: Final = __GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM

GFP_ATOMIC: Final           = __GFP_HIGH | __GFP_ATOMIC | __GFP_KSWAPD_RECLAIM
GFP_KERNEL: Final           = __GFP_RECLAIM | __GFP_IO | __GFP_FS
GFP_KERNEL_ACCOUNT: Final   = GFP_KERNEL | __GFP_ACCOUNT
GFP_NOWAIT: Final           = __GFP_KSWAPD_RECLAIM
GFP_NOIO: Final             = __GFP_RECLAIM
GFP_NOFS: Final             = __GFP_RECLAIM | __GFP_IO
GFP_USER: Final             = GFP_KERNEL | __GFP_HARDWALL
GFP_DMA: Final              = __GFP_DMA
GFP_DMA32: Final            = __GFP_DMA32
GFP_HIGHUSER: Final         = GFP_USER | __GFP_HIGHMEM
GFP_HIGHUSER_MOVABLE: Final = GFP_HIGHUSER | __GFP_MOVABLE
GFP_TRANSHUGE_LIGHT: Final  = (GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN) & ~__GFP_RECLAIM
GFP_TRANSHUGE: Final        = GFP_TRANSHUGE_LIGHT | __GFP_DIRECT_RECLAIM
# fmt: on

GFP_ZONEMASK: Final = __GFP_DMA | __GFP_HIGHMEM | __GFP_DMA32 | __GFP_MOVABLE
GFP_MOVABLE_MASK: Final = __GFP_RECLAIMABLE | __GFP_MOVABLE
GFP_MOVABLE_SHIFT: Final = 3
GFP_ZONE_BAD: Final = frozenset((0x3, 0x5, 0x6, 0x7, 0xB, 0xD, 0xE, 0xF))
"""Zone modifiers that contradict each other."""

GFP_SCOPES: Final = PF_MEMALLOC_NOIO | PF_MEMALLOC_NOFS | PF_MEMALLOC_PIN
"""Task flags that narrow what every allocation of the task may do."""

# In the order of include/trace/events/mmflags.h: the first that fits is named, the rest shows by itself.
_NAMES: Final = tuple(
    (name, globals()[name])
    for name in [
        "GFP_TRANSHUGE",
        "GFP_TRANSHUGE_LIGHT",
        "GFP_HIGHUSER_MOVABLE",
        "GFP_HIGHUSER",
        "GFP_USER",
        "GFP_KERNEL_ACCOUNT",
        "GFP_KERNEL",
        "GFP_NOFS",
        "GFP_ATOMIC",
        "GFP_NOIO",
        "GFP_NOWAIT",
        "GFP_DMA",
        "__GFP_HIGHMEM",
        "GFP_DMA32",
        "__GFP_HIGH",
        "__GFP_ATOMIC",
        "__GFP_IO",
        "__GFP_FS",
        "__GFP_NOWARN",
        "__GFP_RETRY_MAYFAIL",
        "__GFP_NOFAIL",
        "__GFP_NORETRY",
        "__GFP_COMP",
        "__GFP_ZERO",
        "__GFP_NOMEMALLOC",
        "__GFP_MEMALLOC",
        "__GFP_HARDWALL",
        "__GFP_THISNODE",
        "__GFP_RECLAIMABLE",
        "__GFP_MOVABLE",
        "__GFP_ACCOUNT",
        "__GFP_WRITE",
        "__GFP_RECLAIM",
        "__GFP_DIRECT_RECLAIM",
        "__GFP_KSWAPD_RECLAIM",
        "__GFP_ZEROTAGS",
    ]
)


def gfp_text(gfp: int) -> str:
    """Return what printk's ``%pGg`` makes of ``gfp``: ``GFP_KERNEL|__GFP_ZERO``."""
    if not gfp:
        return "none"
    words = []
    for name, mask in _NAMES:
        if gfp & mask == mask:
            words.append(name)
            gfp &= ~mask
    if gfp:
        words.append(f"{gfp:#x}")
    return "|".join(words)


def gfpflags_allow_blocking(gfp: int) -> bool:
    """Return whether an allocation with these flags may sleep."""
    return bool(gfp & __GFP_DIRECT_RECLAIM)


def scoped(gfp: int, task_flags: int) -> int:
    """Return ``gfp`` as the task's memalloc scopes narrow it (``current_gfp_context``)."""
    if task_flags & PF_MEMALLOC_NOIO:
        gfp &= ~(__GFP_IO | __GFP_FS)
    elif task_flags & PF_MEMALLOC_NOFS:
        gfp &= ~__GFP_FS
    if task_flags & PF_MEMALLOC_PIN:
        gfp &= ~__GFP_MOVABLE
    return gfp
