"""``<linux/sched/mm.h>``: scopes in which allocations must not do some things, whatever their flags say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.mm import fork
from kmock.mm.gfp import scoped
from kmock.mm.might_alloc import might_alloc as _might_alloc

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct


@api(since="3.9", undo="memalloc_noio_restore")
def memalloc_noio_save(k: Kernel) -> int:
    """From here on allocations start no I/O, as with GFP_NOIO; what was so before comes back."""
    return k.page_alloc.scopes.save("noio")


@api(since="3.9")
def memalloc_noio_restore(k: Kernel, flags: int) -> None:
    """End the scope that returned ``flags``."""
    k.page_alloc.scopes.restore("noio", flags)


@api(since="4.12", undo="memalloc_nofs_restore")
def memalloc_nofs_save(k: Kernel) -> int:
    """From here on allocations call no file system, as with GFP_NOFS; what was so before comes back."""
    return k.page_alloc.scopes.save("nofs")


@api(since="4.12")
def memalloc_nofs_restore(k: Kernel, flags: int) -> None:
    """End the scope that returned ``flags``."""
    k.page_alloc.scopes.restore("nofs", flags)


@api(since="4.12", undo="memalloc_noreclaim_restore")
def memalloc_noreclaim_save(k: Kernel) -> int:
    """From here on allocations reclaim nothing, and may use the reserves; what was so before comes back."""
    return k.page_alloc.scopes.save("noreclaim")


@api(since="4.12")
def memalloc_noreclaim_restore(k: Kernel, flags: int) -> None:
    """End the scope that returned ``flags``."""
    k.page_alloc.scopes.restore("noreclaim", flags)


@api(since="5.12", undo="memalloc_pin_restore")
def memalloc_pin_save(k: Kernel) -> int:
    """From here on allocations take no movable memory; what was so before comes back."""
    return k.page_alloc.scopes.save("pin")


@api(since="5.12")
def memalloc_pin_restore(k: Kernel, flags: int) -> None:
    """End the scope that returned ``flags``."""
    k.page_alloc.scopes.restore("pin", flags)


@api(since="4.12")
def current_gfp_context(k: Kernel, flags: int) -> int:
    """Return what is left of ``flags`` in the scopes that the task is in."""
    return scoped(flags, k.current.flags)


@api(since="5.12")
def might_alloc(k: Kernel, gfp_mask: int) -> None:
    """Say that an allocation with these flags may come: checks that it may sleep, if they allow it."""
    _might_alloc(k, gfp_mask)


@api(since="4.17", undo="fs_reclaim_release")
def fs_reclaim_acquire(k: Kernel, gfp_mask: int) -> None:
    """Say that from here on the task does what an allocation with these flags may have to wait for."""
    k.page_alloc.fs_reclaim.acquire(gfp_mask)


@api(since="4.17")
def fs_reclaim_release(k: Kernel, gfp_mask: int) -> None:
    """End the section that ``fs_reclaim_acquire()`` began with the same flags."""
    k.page_alloc.fs_reclaim.release(gfp_mask)


@api(since="4.11", undo="mmput")
def mmget(k: Kernel, mm: mm_struct) -> None:
    """Keep an address space in use, whose process might end."""
    mm.mm_users += 1


@api(since="4.11", undo="mmput", fails=True)
def mmget_not_zero(k: Kernel, mm: mm_struct) -> bool:
    """:func:`mmget` unless it has been emptied; return whether it was done."""
    if not mm.mm_users:
        return False
    mm.mm_users += 1
    return True


@api(since="2.4", sleeps=Sleeps.ALWAYS)
def mmput(k: Kernel, mm: mm_struct) -> None:
    """Let go of an address space; the last user's end empties it."""
    fork.mmput(mm)


@api(since="4.11", undo="mmdrop")
def mmgrab(k: Kernel, mm: mm_struct) -> None:
    """Keep a ``struct mm_struct``, though not what is mapped there."""
    mm.mm_count += 1


@api(since="2.4")
def mmdrop(k: Kernel, mm: mm_struct) -> None:
    """Let go of a ``struct mm_struct``."""
    fork.mmdrop(mm)


@api(since="2.4", undo="mmput", fails=True)
def get_task_mm(k: Kernel, task: Task) -> mm_struct | None:
    """Return a task's address space and keep it in use; None for a kernel thread."""
    mm: mm_struct | None = task.mm
    if mm is not None:
        mm.mm_users += 1
    return mm


__getattr__ = header_getattr(__name__)
__all__ = [
    "current_gfp_context",
    "fs_reclaim_acquire",
    "fs_reclaim_release",
    "get_task_mm",
    "memalloc_nofs_restore",
    "memalloc_nofs_save",
    "memalloc_noio_restore",
    "memalloc_noio_save",
    "memalloc_noreclaim_restore",
    "memalloc_noreclaim_save",
    "memalloc_pin_restore",
    "memalloc_pin_save",
    "might_alloc",
    "mmdrop",
    "mmget",
    "mmget_not_zero",
    "mmgrab",
    "mmput",
]
