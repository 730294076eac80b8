"""Copies of strings and memory, and memory that may come from either allocator (``mm/util.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.hw.mmu import PTE_RW
from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.lang.struct import as_ptr
from kmock.mm.gfp import __GFP_DIRECT_RECLAIM as GFP_DIRECT_RECLAIM
from kmock.mm.gfp import __GFP_NOFAIL as GFP_NOFAIL
from kmock.mm.gfp import __GFP_NORETRY as GFP_NORETRY
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.gfp import __GFP_RETRY_MAYFAIL as GFP_RETRY_MAYFAIL
from kmock.mm.gfp import GFP_KERNEL, GFP_USER
from kmock.mm.slub import ZERO_SIZE
from kmock.sanitizers import string_checks as checks
from kmock.sanitizers.object import FailedAllocation
from kmock.stack import capture

if TYPE_CHECKING:
    from kmock.machine import Kernel

PAGE_SIZE: Final = 4096
IN_INTERRUPT: Final = 0xFFFF00
"""Bits of preempt_count that say that an interrupt or softirq runs."""
INT_MAX: Final = (1 << 31) - 1
ENOMEM: Final = 12
EFAULT: Final = 14
EINVAL: Final = 22


def _error(number: int) -> Ptr:
    return make_ptr((1 << 64) - number, None)


def _copied(k: Kernel, data: bytes, gfp: int) -> Ptr:
    """Return a kmalloc()ed copy of ``data``, or NULL."""
    p = k.slab.kmalloc(len(data), gfp)
    if p and data:
        k.mem.store(p, 0, data)
    return p


# -- copies ---------------------------------------------------------------------------------------


def kmemdup(k: Kernel, src: Any, n: int, gfp: int) -> Ptr:
    """``kmemdup()``: a copy of ``n`` bytes, with what is known of each; NULL without memory."""
    p = k.slab.kmalloc(n, gfp)
    if p and n:
        copy_into(k, p, src, n)
    return p


def copy_into(k: Kernel, to: Ptr, src: Any, n: int) -> None:
    """Copy ``n`` bytes of memory, with what is known of each, or of a Python object that stands for some."""
    if checks.python_bytes(src) is not None:
        k.mem.store(to, 0, checks.load(k, src, n))
    else:
        k.mem.copy(to, as_ptr(src), n)


def kmemdup_nul(k: Kernel, s: Any, n: int, gfp: int) -> Ptr:
    """``kmemdup_nul()``: a copy of ``n`` bytes with a NUL behind them; NULL of NULL."""
    return _copied(k, checks.load(k, s, n) + b"\0", gfp) if s is not None and s != 0 else NULL


def kstrdup(k: Kernel, s: Any, gfp: int) -> Ptr:
    """``kstrdup()``: a copy of a string; NULL of NULL."""
    return _copied(k, checks.string(k, s) + b"\0", gfp) if s is not None and s != 0 else NULL


def kstrndup(k: Kernel, s: Any, limit: int, gfp: int) -> Ptr:
    """``kstrndup()``: a copy of at most ``limit`` bytes of a string."""
    return _copied(k, checks.string(k, s, limit) + b"\0", gfp) if s is not None and s != 0 else NULL


def kstrdup_const(k: Kernel, s: Any, gfp: int) -> Any:
    """``kstrdup_const()``: a copy, or the string itself where it is a literal, which needs none."""
    return s if is_literal(k, s) else kstrdup(k, s, gfp)


def is_literal(k: Kernel, s: Any) -> bool:
    """``is_kernel_rodata()``: whether a string is part of the image and can't change."""
    if isinstance(s, str | bytes):
        return True
    entry = k.mmu.entries.get(int(s) >> 12, PTE_RW) if isinstance(s, int) else PTE_RW
    return not entry & PTE_RW and int(s) >= k.layout.image


def kfree_const(k: Kernel, s: Any) -> None:
    """``kfree_const()``: give back what kstrdup_const() returned."""
    if s is not None and not is_literal(k, s):
        k.slab.kfree(s)


def memdup_user(k: Kernel, src: int, n: int) -> Ptr:
    """``memdup_user()``: a copy of user memory, ERR_PTR(-ENOMEM) or ERR_PTR(-EFAULT)."""
    return _from_user(k, k.slab.kmalloc(n, GFP_USER | GFP_NOWARN), src, n)


def memdup_user_nul(k: Kernel, src: int, n: int) -> Ptr:
    """``memdup_user_nul()``: the same with a NUL behind."""
    p = _from_user(k, k.slab.kmalloc(n + 1, GFP_KERNEL), src, n)
    if p.origin is not None:
        p[n] = 0
    return p


def vmemdup_user(k: Kernel, src: int, n: int) -> Ptr:
    """``vmemdup_user()``: the same in memory that kvfree() takes back."""
    return _from_user(k, kvmalloc_node(k, n, GFP_USER), src, n)


def strndup_user(k: Kernel, s: int, n: int) -> Ptr:
    """``strndup_user()``: a copy of a user string of at most ``n`` bytes with its NUL; ERR_PTR where it is longer."""
    length = k.uaccess.strnlen_user(s, n)
    if not length:
        return _error(EFAULT)
    if length > n:
        return _error(EINVAL)
    p = memdup_user(k, s, length)
    if p.origin is not None:
        p[length - 1] = 0
    return p


def _from_user(k: Kernel, p: Ptr, src: int, n: int) -> Ptr:
    if not p:
        return _error(ENOMEM)
    if n and k.uaccess.copy_from_user(p, src, n):
        kvfree(k, p)
        return _error(EFAULT)
    return p


# -- kvmalloc() -----------------------------------------------------------------------------------


def kvmalloc_node(k: Kernel, size: int, gfp: int, node: int = -1) -> Ptr:
    """``kvmalloc_node()``: from the slab allocator where that is easy, else from vmalloc; NULL without memory."""
    slab_gfp = gfp
    if size > PAGE_SIZE:
        slab_gfp |= GFP_NOWARN
        if not gfp & GFP_RETRY_MAYFAIL:
            slab_gfp |= GFP_NORETRY
        slab_gfp &= ~GFP_NOFAIL
    p = k.slab.kmalloc(size, slab_gfp, node)
    if p.origin is not None and p.origin.live:
        k.slab.claim(p.origin, "kvfree")
    if p or size <= PAGE_SIZE:
        return p
    if gfp & GFP_DIRECT_RECLAIM:
        if size <= INT_MAX:
            return k.vmalloc.alloc(size, gfp, node, call="kvmalloc")
        if not gfp & GFP_NOWARN:
            k.warn("alloc-size-too-large", "mm/util.c:596", "kvmalloc_node", attributes={"size": size})
    return make_ptr(0, FailedAllocation("kvmalloc", size, capture(2)))


def kvfree(k: Kernel, ptr: Ptr) -> None:
    """``kvfree()``: give back what kvmalloc(), kmalloc() or vmalloc() gave."""
    if k.layout.is_vmalloc(int(ptr)):
        k.vmalloc.free(ptr, "kvfree")
        return
    count = k.cpu.preempt_count
    if not count & IN_INTERRUPT and (count or k.cpu.irqs_off or k.current.rcu_depth) and ptr:
        _would_sleep(k)
    origin = ptr.origin if ptr.__class__ is Ptr else None
    if origin is not None:
        k.slab.disclaim(origin)
    k.slab.kfree(ptr)


def _would_sleep(k: Kernel) -> None:
    """kvfree() of slab memory does not sleep; of vmalloc memory it does, and the caller can't tell which it has."""
    k.report(
        "sleep-conditionally-in-atomic",
        f"BUG: kmock: sleep-conditionally-in-atomic in {k.symbol(k.capture())}",
        lines=["kvfree() may sleep, although it did not this time", *k.lockdep.held_lines(k.current)],
        key=("atomic", k.cpu.id, k.cpu.section),
    )


def kvfree_sensitive(k: Kernel, ptr: Ptr, n: int) -> None:
    """``kvfree_sensitive()``: clear ``n`` bytes, then free."""
    if int(ptr) > ZERO_SIZE:
        k.mem.fill(ptr, 0, 0, n)
        kvfree(k, ptr)


def kvrealloc(k: Kernel, ptr: Ptr, oldsize: int, newsize: int, gfp: int) -> Ptr:
    """``kvrealloc()``: grow, copying ``oldsize`` bytes; the same pointer where nothing grows."""
    if oldsize >= newsize:
        return ptr
    new = kvmalloc_node(k, newsize, gfp)
    if new:
        if oldsize:
            k.mem.copy(new, ptr, oldsize)
        kvfree(k, ptr)
    return new
