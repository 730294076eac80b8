"""KASAN's shadow (``mm/kasan/kasan.h``): one byte for each eight of memory.

It is not stored: it follows from the allocators' own records, so it can't disagree with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.sanitizers.object import KEPT

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation

GRANULE = 8

FREE_PAGE = 0xFF
PAGE_REDZONE = 0xFE
SLAB_REDZONE = 0xFC
SLAB_FREE = 0xFB
SLAB_FREE_TRACKED = 0xFA
GLOBAL_REDZONE = 0xF9
VMALLOC_INVALID = 0xF8
STACK_LEFT = 0xF1

NAMES = {
    FREE_PAGE: "use-after-free",
    PAGE_REDZONE: "slab-out-of-bounds",
    SLAB_REDZONE: "slab-out-of-bounds",
    SLAB_FREE: "use-after-free",
    SLAB_FREE_TRACKED: "use-after-free",
    GLOBAL_REDZONE: "global-out-of-bounds",
    VMALLOC_INVALID: "vmalloc-out-of-bounds",
    STACK_LEFT: "stack-out-of-bounds",
}
"""What KASAN calls an access, by the shadow of the first bad byte (``get_shadow_bug_type()``)."""

_OUTSIDE = {"global": GLOBAL_REDZONE, "vmalloc": VMALLOC_INVALID, "mmio": VMALLOC_INVALID, "stack": STACK_LEFT}


def shadow(k: Kernel, address: int) -> int:
    """The shadow byte of the granule at ``address``: 0, 1 to 7 valid bytes, or why none is valid."""
    address &= ~(GRANULE - 1)
    owner = k.mem.owner(address)
    if owner is None:
        return _of_nobody(k, address)
    inside = address - owner.addr
    if (owner.live or getattr(owner, "fate", "") == KEPT) and 0 <= inside < owner.size:
        return min(owner.size - inside, GRANULE) % GRANULE
    if owner.area in ("percpu", "dma-pool"):
        # KASAN does not follow their allocators.
        return 0
    if owner.area in _OUTSIDE:
        return _OUTSIDE[owner.area]
    if owner.live:
        return SLAB_REDZONE if hasattr(owner, "object_size") else PAGE_REDZONE
    return _of_freed(owner, inside)


def _of_nobody(k: Kernel, address: int) -> int:
    if any(region.start <= address < region.end for region in k.mem.regions):
        return 0
    if k.layout.is_vmalloc(address):
        return VMALLOC_INVALID
    page = k.memmap.pages.get((address - k.layout.page_offset) >> 12)
    if page is not None and page.owner is not None:
        # Pages of a vmalloc area are nobody's in particular here, and no part of them is closed.
        return SLAB_REDZONE if hasattr(page.owner, "cache") else 0
    return FREE_PAGE if k.page_alloc.is_free(address) else 0


def _of_freed(owner: Allocation, inside: int) -> int:
    if not hasattr(owner, "object_size"):
        return FREE_PAGE
    if 0 <= inside < owner.usable:
        return SLAB_FREE if inside or owner.free_stack is None else SLAB_FREE_TRACKED
    return SLAB_REDZONE


def bug_name(k: Kernel, address: int) -> str:
    """What KASAN calls touching the bad byte at ``address``; empty where its shadow allows it."""
    value = shadow(k, address)
    if 0 < value < GRANULE:
        if address & GRANULE - 1 < value:
            return ""
        # A granule that is partly valid says nothing of what lies behind it; the next one does.
        value = shadow(k, address + GRANULE) or 1
        return NAMES.get(value, "out-of-bounds")
    return NAMES.get(value, "")


def rows(k: Kernel, address: int) -> list[str]:
    """The rows of shadow around ``address``, with KASAN's caret."""
    span = 16 * GRANULE
    base = address & ~(span - 1)
    lines = ["", "Memory state around the buggy address:"]
    for row in range(base - 2 * span, base + 3 * span, span):
        if k.mem.translate(row) is None:
            continue
        shown = " ".join(f"{shadow(k, row + i * GRANULE):02x}" for i in range(16))
        lines.append(f"{'>' if row == base else ' '}{row:016x}: {shown}")
        if row == base:
            lines.append(" " * (19 + 3 * ((address - row) // GRANULE)) + "^")
    return lines
