"""Which part of the kernel a copy may touch (``CONFIG_HARDENED_USERCOPY``, ``mm/usercopy.c``).

Kernels built without KASAN stop such a copy with a BUG. With KASAN the copy itself tells what it overruns, and
what is left to tell of here is a cache's window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.slab import KmemCache
    from kmock.sanitizers.object import Allocation
    from kmock.sanitizers.usercopy import Direction

ZERO_SIZE_PTR = 16
_TOP = 1 << 64


def check_object_size(k: Kernel, p: int, n: int, direction: Direction) -> None:
    """``__check_object_size()``: stop a copy of ``n`` bytes that does not stay in what ``p`` points to."""
    if not n:
        return
    address = int(p)
    if not k.kasan.on:
        _bogus_address(k, p, n, direction)
    about: Allocation | None = getattr(p, "origin", None)
    if about is None or not about.addr <= address < about.end:
        about = k.mem.owner(p)
    cache: KmemCache | None = getattr(about, "cache", None)
    if about is not None and cache is not None:
        _slab(k, cache, about, address - about.addr, n, direction)
    elif not k.kasan.on:
        _other(k, about, address, n, direction)


def _bogus_address(k: Kernel, p: int, n: int, direction: Direction) -> None:
    address = int(p)
    if address + n - 1 >= _TOP:
        _abort(k, "usercopy-overflow-object", "wrapped address", 0, (address + n) % _TOP, direction, None)
    elif address <= ZERO_SIZE_PTR:
        kind = "slab-zero-size-deref" if address == ZERO_SIZE_PTR else "null-deref"
        _abort(k, kind, "null address", address, n, direction, getattr(p, "origin", None))


def _other(k: Kernel, about: Allocation | None, address: int, n: int, direction: Direction) -> None:
    if about is None:
        if k.layout.is_vmalloc(address) and not k.current.pagefault_disabled:
            _abort(k, "wild-pointer-deref", "vmalloc 'no area'", 0, n, direction, None)
        return
    bound = about.copy_bound if about.live else None
    if bound is not None and address + n > about.addr + bound[1]:
        _abort(k, "usercopy-overflow-object", bound[0], address - about.addr, n, direction, about)


# -- slab ---------------------------------------------------------------------------------------------


def _slab(k: Kernel, cache: KmemCache, about: Allocation, offset: int, n: int, direction: Direction) -> None:
    """``__check_heap_object()``."""
    if _in_window(cache, offset, n):
        return
    name = f"SLUB object '{cache.name}'"
    if not 0 <= offset <= offset + n <= cache.object_size:
        if not k.kasan.on:
            _abort(k, "usercopy-overflow-object", name, offset, n, direction, about)
    elif about.live:
        _outside_window(k, name, offset, n, direction, about)


def _in_window(cache: KmemCache, offset: int, n: int) -> bool:
    if cache.is_kmalloc:
        return offset >= 0 and offset + n <= cache.object_size
    start = offset - cache.useroffset
    return start >= 0 and start + n <= cache.usersize


def _outside_window(k: Kernel, name: str, offset: int, n: int, direction: Direction, about: Allocation) -> None:
    if not k.kasan.on:
        _abort(k, "usercopy-outside-window", name, offset, n, direction, about)
        return
    stack = k.capture()
    k.report(
        "usercopy-outside-window",
        f"BUG: kmock: usercopy-outside-window in {k.symbol(stack)}",
        lines=[abort_line(name, offset, n, direction)],
        stacks={"access": stack, "allocated": about.alloc_stack},
        object=k.kasan.info(about, about.addr + offset),
        key=(about, "usercopy"),
    )


# -- usercopy_abort() ---------------------------------------------------------------------------------


def _abort(
    k: Kernel, kind: str, what: str, offset: int, n: int, direction: Direction, about: Allocation | None
) -> None:
    stacks = {"access": k.capture()}
    if about is not None:
        stacks["allocated"] = about.alloc_stack
    k.bug(
        kind,
        "mm/usercopy.c:101",
        headlines=[abort_line(what, offset, n, direction)],
        stacks=stacks,
        object=k.kasan.info(about, about.addr + offset) if about is not None and about.size else None,
    )


def abort_line(what: str, offset: int, n: int, direction: Direction) -> str:
    """The line of ``usercopy_abort()``."""
    return f"usercopy: Kernel memory {direction.attempt} {what} (offset {offset}, size {n})!"
