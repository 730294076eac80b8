"""What an element goes through in a pool's reserve: KASAN closes it, and a debug kernel fills it with a pattern.

Both happen only in pools over the slab and the page allocator, which the kernel knows the size of an element of.
An element of any other pool is closed too, but what touches it there is kmock's finding alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.mm.page import PageBlock
from kmock.sanitizers.describe import origin_stacks
from kmock.sanitizers.object import KEPT, RESERVED
from kmock.stack import capture

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.mempool_element import Element
    from kmock.mm.mempool_pool import PoolState
    from kmock.sanitizers.object import Allocation

POISON_FREE: Final = 0x6B
POISON_END: Final = 0xA5
POISON_INUSE: Final = 0x5A
_SLAB: Final = ("mempool_alloc_slab", "mempool_kmalloc")
_PAGES: Final = ("mempool_alloc_pages",)


def ready_made(function: Any) -> str:
    """Return the name of the kernel's own function that a pool was given; empty for a driver's."""
    name = getattr(getattr(function, "contract", None), "name", "")
    return name if name in (*_SLAB, *_PAGES) else ""


def over_slab(state: PoolState) -> bool:
    """Whether the pool's elements are objects of the slab allocator."""
    return ready_made(state.alloc) in _SLAB


def debugged(k: Kernel) -> bool:
    """Whether the kernel is built with CONFIG_SLUB_DEBUG_ON, as the one without KASAN is."""
    return not k.config.kasan


def keep(k: Kernel, state: PoolState, known: Element) -> None:
    """Close an element that goes into the reserve (``poison_element()``, ``kasan_poison_element()``)."""
    about = known.about
    if about is None or not about.live or about.area not in {"slab", "page"}:
        return
    known.reserved = True
    mine = bool(ready_made(state.alloc))
    if mine and debugged(k):
        n = about.usable
        k.ram.bytes[about.phys : about.phys + n] = bytes([POISON_FREE]) * (n - 1) + bytes([POISON_END])
    about.live = False
    about.fate = RESERVED if mine else KEPT
    about.free_stack = capture(3)
    about.free_task = k.current


def let_go(k: Kernel, state: PoolState, known: Element) -> None:
    """Open an element that leaves the reserve (``kasan_unpoison_element()``, ``check_element()``)."""
    about = known.about
    assert about is not None
    known.reserved = False
    about.live = True
    if about.fate == RESERVED and debugged(k):
        _check(k, state, about)
    about.fate = ""
    about.free_stack = about.free_task = None


def _check(k: Kernel, state: PoolState, about: Allocation) -> None:
    size = about.usable
    there = k.ram.bytes[about.phys : about.phys + size]
    wrong = next((i for i in range(size) if there[i] != (POISON_END if i == size - 1 else POISON_FREE)), None)
    if wrong is None:
        k.ram.bytes[about.phys : about.phys + size] = bytes([POISON_INUSE]) * size
        return
    start, end = max(wrong - 8, 0), min(wrong + 8, size)
    shown = "".join(f"{byte:x} " for byte in there[start:end])
    struct = state.struct.addr if state.struct is not None else 0
    dots = "... " if start else ""
    k.report(
        "mempool-element-written",
        "BUG: mempool element poison mismatch",
        lines=[
            f"Mempool {struct:016x} size {size}",
            f" nr={state.curr_nr} @ {about.addr:016x}: {dots}0x{shown}{'...' if end < size else ''}",
        ],
        stacks={"access": k.capture(), **origin_stacks(about)},
        object=k.kasan.info(about, about.addr + wrong),
        key=(about, "mempool", False),
    )


def release(k: Kernel, known: Element) -> None:
    """The element goes to the pool's freeing function: it is plain memory again."""
    about = known.about
    if about is None:
        return
    about.fate = "returned"
    if isinstance(about, PageBlock) and about.call == "mempool_alloc":
        about.call = "alloc_pages"
    elif about.area == "slab":
        k.slab.disclaim(about)
