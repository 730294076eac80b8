"""The part of ``<linux/mm.h>`` about taking pages of processes: ``get_user_pages()`` and its generations."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, NamedTuple

from kmock.kernel.task import Task
from kmock.linux._api import Sleeps, Where, api
from kmock.mm import fixup, pin
from kmock.mm.foll import (
    FOLL_ANON,
    FOLL_DUMP,
    FOLL_FAST_ONLY,
    FOLL_FORCE,
    FOLL_GET,
    FOLL_HWPOISON,
    FOLL_LONGTERM,
    FOLL_MIGRATION,
    FOLL_NOFAULT,
    FOLL_NOWAIT,
    FOLL_PIN,
    FOLL_REMOTE,
    FOLL_SPLIT_PMD,
    FOLL_TOUCH,
    FOLL_TRIED,
    FOLL_WRITE,
    GUP_PIN_COUNTING_BIAS,
)
from kmock.mm.gup import Request, no_mm, walk_locked, walk_longterm
from kmock.mm.gup_fast import take_fast, take_unlocked
from kmock.sanitizers.grabs import PageArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.page import Page

_WANTED = object()


class _Call(NamedTuple):
    """The arguments of a call, whichever generation it is of."""

    mm: mm_struct | None
    start: int
    nr: int
    flags: int
    pages: Any
    vmas: Any
    more: tuple[Any, ...]


def _call(k: Kernel, args: tuple[Any, ...], *, remote: bool = False, flags: bool = False) -> _Call:
    """Sort the arguments out.

    Before 4.6 a task and its address space come first, and until 4.8 ``write`` and ``force`` stand for the flags.
    ``remote`` calls are given an address space in all generations; with ``flags`` those follow a task too.
    """
    mm = k.current.mm
    old = isinstance(args[0], Task) or args[0] is None
    if old:
        mm, args = args[1], args[2:]
    elif remote:
        mm, args = args[0], args[1:]
    start, nr, word, *rest = args
    if rest and isinstance(rest[0], int) and not flags:
        word = FOLL_WRITE * bool(word) | FOLL_FORCE * bool(rest.pop(0))
    pages = rest[0] if rest else _WANTED
    vmas = rest[1] if len(rest) > 1 else None
    return _Call(mm, int(start), int(nr), word, pages, vmas, tuple(rest[2:]))


def _request(call: _Call, flags: int) -> Request:
    assert call.mm is not None
    return Request(call.mm, call.start, call.nr % (1 << 64), flags, fill=call.pages is not None)


def _result(k: Kernel, call: _Call, found: int, request: Request | None = None) -> tuple[Any, ...]:
    """What the kernel function returns, and its out-parameters: the pages, and the areas where they are asked for."""
    taken = request.pages if request is not None else []
    out: list[Any] = [found, PageArray(k, taken, call.nr, call.start) if call.pages is not None else None]
    if call.vmas is not None:
        out.append(request.vmas if request is not None else [])
    return tuple(out)


def _invalid(k: Kernel, flags: int) -> bool:
    """``is_valid_gup_flags()``, the other way round."""
    for flag, line in ((FOLL_PIN, 2177), (FOLL_LONGTERM, 2184)):
        if flags & flag:
            k.warn("gup-bad-flags", f"mm/gup.c:{line}", "is_valid_gup_flags")
            return True
    return False


def _no_pin(k: Kernel, call: _Call, function: str, line: int) -> bool:
    """Whether a pin is asked for that can't be: together with a reference, or without an array."""
    for wrong, at in ((call.flags & FOLL_GET, line), (call.pages is None, line + 3)):
        if wrong:
            k.warn("gup-bad-flags", f"mm/gup.c:{at}", function)
            return True
    return False


def _slow(k: Kernel, call: _Call, flags: int, function: str) -> tuple[Any, ...]:
    """Walk an address space whose lock the caller holds."""
    mm = call.mm
    if mm is None:
        no_mm(k, function)
        return (0,)
    if call.nr < 0:
        k.grabs.no_count(function, call.nr)
    k.grabs.asked(call.start, call.nr)
    held = any(held.lock is mm.mmap_lock for held in k.current.held)
    vma = mm.vma_lookup(call.start)
    fresh = vma is not None and vma.anon_vma is None
    request = _request(call, flags)
    found = walk_longterm(request)
    if not held and call.nr:
        k.grabs.unlocked(mm, function, first_page=fresh and vma is not None and vma.anon_vma is not None)
    return _result(k, call, found, request)


def _fast(k: Kernel, call: _Call, flags: int, function: str) -> tuple[Any, ...]:
    if call.nr <= 0:
        k.grabs.no_count(function, call.nr)
    mm = k.current.mm
    if mm is None:
        no_mm(k, "internal_get_user_pages_fast")
        return (0,)
    k.grabs.asked(call.start, call.nr)
    request = Request(mm, call.start, call.nr, flags)
    found = take_fast(k, request)
    return _result(k, call, found, request)


# -- references -------------------------------------------------------------------------------------------------------


@api(
    since="2.3",
    sleeps=Sleeps.ALWAYS,
    illegal=Where.INTERRUPT,
    undo="put_page",
    fails=True,
    sleeper="gup-atomic",
)
def get_user_pages(k: Kernel, *args: Any) -> tuple[Any, ...]:
    """``(start, nr_pages, gup_flags, pages=, vmas=)``: take references to pages of the running process.

    Returns how many were taken, which may be fewer than asked for, or -errno; the pages; and the areas, where
    ``vmas`` is given. ``pages`` None only has them faulted in. The caller holds ``mmap_lock`` (``mm/gup.c``). Also
    ``(start, nr_pages, write, force)`` as until 4.8, and ``(tsk, mm, start, nr_pages, write, force)`` as until 4.5.
    """
    call = _call(k, args)
    if _invalid(k, call.flags):
        return _result(k, call, -errno.EINVAL)
    return _slow(k, call, call.flags | FOLL_TOUCH, "get_user_pages")


@api(
    since="2.6.32",
    until="4.10",
    replaced_by="get_user_pages",
    sleeps=Sleeps.ALWAYS,
    illegal=Where.INTERRUPT,
    undo="put_page",
    fails=True,
    sleeper="gup-atomic",
)
def __get_user_pages(k: Kernel, *args: Any) -> tuple[Any, ...]:
    """``(tsk, mm, start, nr_pages, gup_flags, pages=, vmas=)``: :func:`get_user_pages` with flags of one's own choice."""
    call = _call(k, args, flags=True)
    if call.mm is None:
        no_mm(k, "__get_user_pages")
    flags = call.flags | (FOLL_GET if call.pages is not None else 0)
    return _slow(k, call, flags, "__get_user_pages")


@api(
    since="4.6",
    sleeps=Sleeps.ALWAYS,
    illegal=Where.INTERRUPT,
    undo="put_page",
    fails=True,
    sleeper="gup-atomic",
)
def get_user_pages_remote(k: Kernel, *args: Any, locked: int | None = None) -> tuple[Any, ...]:
    """``(mm, start, nr_pages, gup_flags, pages=, vmas=, locked=)``: take references to pages of any process.

    With ``locked=1`` a last value says whether ``mmap_lock`` is still held. Until 5.8 a task comes first.
    """
    call = _call(k, args, remote=True, flags=True)
    if _invalid(k, call.flags):
        return _result(k, call, -errno.EINVAL)
    return _remote(k, call, call.flags, locked, "get_user_pages_remote")


def _remote(k: Kernel, call: _Call, flags: int, locked: int | None, function: str) -> tuple[Any, ...]:
    flags |= FOLL_TOUCH | FOLL_REMOTE
    locked = call.more[0] if call.more else locked
    if locked is None:
        return _slow(k, call, flags, function)
    if flags & FOLL_LONGTERM:
        k.warn("gup-bad-flags", "mm/gup.c:2204", "__get_user_pages_remote")
        return (*_result(k, call, -errno.EINVAL), locked)
    request = _request(call, flags)
    request.locked = locked
    found = walk_locked(request)
    return (*_result(k, call, found, request), request.locked)


@api(
    since="4.0",
    sleeps=Sleeps.ALWAYS,
    illegal=Where.INTERRUPT,
    undo="put_page",
    fails=True,
    sleeper="gup-atomic",
)
def get_user_pages_unlocked(k: Kernel, *args: Any) -> tuple[Any, ...]:
    """``(start, nr_pages, gup_flags)``, with ``pages`` before the flags: take ``mmap_lock`` and the pages."""
    return _unlocked(k, args, 0, "get_user_pages_unlocked")


def _unlocked(k: Kernel, args: tuple[Any, ...], flags: int, function: str) -> tuple[Any, ...]:
    start, nr, *rest = args
    call = _Call(k.current.mm, int(start), int(nr), rest[-1], rest[0] if len(rest) > 1 else _WANTED, None, ())
    if flags & FOLL_PIN and _no_pin(k, call, function, 3333):
        return _result(k, call, -errno.EINVAL)
    if call.mm is None:
        no_mm(k, function)
    request = _request(call, call.flags | flags)
    return _result(k, call, take_unlocked(k, request), request)


@api(
    since="2.6.27",
    sleeps=Sleeps.ALWAYS,
    illegal=Where.INTERRUPT,
    undo="put_page",
    fails=True,
    sleeper="gup-atomic",
)
def get_user_pages_fast(k: Kernel, start: int, nr_pages: int, gup_flags: int, pages: Any = _WANTED) -> tuple[Any, ...]:
    """Take references to pages of the running process, without ``mmap_lock`` where they are there; number and pages.

    Until 5.1 the third argument was ``write``, which is what FOLL_WRITE is.
    """
    call = _Call(k.current.mm, int(start), int(nr_pages), int(gup_flags), pages, None, ())
    if _invalid(k, call.flags):
        return _result(k, call, -errno.EINVAL)
    return _fast(k, call, call.flags | FOLL_GET, "get_user_pages_fast")


@api(since="5.8", undo="put_page", fails=True)
def get_user_pages_fast_only(
    k: Kernel, start: int, nr_pages: int, gup_flags: int, pages: Any = _WANTED
) -> tuple[Any, ...]:
    """Take references to those pages that are there for the taking; never sleeps, and never fails: number and pages."""
    call = _Call(k.current.mm, int(start), int(nr_pages), int(gup_flags), pages, None, ())
    found, *out = _fast(k, call, call.flags | FOLL_GET | FOLL_FAST_ONLY, "get_user_pages_fast_only")
    return (max(found, 0), *out)


# -- pins -------------------------------------------------------------------------------------------------------------


@api(
    since="5.6",
    sleeps=Sleeps.ALWAYS,
    illegal=Where.INTERRUPT,
    undo="unpin_user_pages",
    fails=True,
    sleeper="gup-atomic",
)
def pin_user_pages(k: Kernel, *args: Any) -> tuple[Any, ...]:
    """``(start, nr_pages, gup_flags, pages=, vmas=)``: :func:`get_user_pages` for what a device or the kernel writes to."""
    call = _call(k, args, flags=True)
    if _no_pin(k, call, "pin_user_pages", 3309):
        return _result(k, call, -errno.EINVAL)
    return _slow(k, call, call.flags | FOLL_PIN, "pin_user_pages")


@api(
    since="5.6",
    sleeps=Sleeps.ALWAYS,
    illegal=Where.INTERRUPT,
    undo="unpin_user_pages",
    fails=True,
    sleeper="gup-atomic",
)
def pin_user_pages_fast(k: Kernel, start: int, nr_pages: int, gup_flags: int, pages: Any = _WANTED) -> tuple[Any, ...]:
    """:func:`get_user_pages_fast` for what a device or the kernel writes to."""
    call = _Call(k.current.mm, int(start), int(nr_pages), int(gup_flags), pages, None, ())
    if _no_pin(k, call, "pin_user_pages_fast", 3191):
        return _result(k, call, -errno.EINVAL)
    return _fast(k, call, call.flags | FOLL_PIN, "pin_user_pages_fast")


@api(since="5.8", undo="unpin_user_pages", fails=True)
def pin_user_pages_fast_only(
    k: Kernel, start: int, nr_pages: int, gup_flags: int, pages: Any = _WANTED
) -> tuple[Any, ...]:
    """Pin those pages that are there for the taking; never sleeps, and never fails: number and pages."""
    call = _Call(k.current.mm, int(start), int(nr_pages), int(gup_flags), pages, None, ())
    if _no_pin(k, call, "pin_user_pages_fast_only", 3217):
        return _result(k, call, 0)
    found, *out = _fast(k, call, call.flags | FOLL_PIN | FOLL_FAST_ONLY, "pin_user_pages_fast_only")
    return (max(found, 0), *out)


@api(
    since="5.6",
    sleeps=Sleeps.ALWAYS,
    illegal=Where.INTERRUPT,
    undo="unpin_user_pages",
    fails=True,
    sleeper="gup-atomic",
)
def pin_user_pages_remote(k: Kernel, *args: Any, locked: int | None = None) -> tuple[Any, ...]:
    """:func:`get_user_pages_remote` for what a device or the kernel writes to."""
    call = _call(k, args, remote=True, flags=True)
    if _no_pin(k, call, "pin_user_pages_remote", 3272):
        return _result(k, call, -errno.EINVAL)
    return _remote(k, call, call.flags | FOLL_PIN, locked, "pin_user_pages_remote")


@api(
    since="5.7",
    sleeps=Sleeps.ALWAYS,
    illegal=Where.INTERRUPT,
    undo="unpin_user_pages",
    fails=True,
    sleeper="gup-atomic",
)
def pin_user_pages_unlocked(k: Kernel, *args: Any) -> tuple[Any, ...]:
    """:func:`get_user_pages_unlocked` for what a device or the kernel writes to."""
    return _unlocked(k, args, FOLL_PIN, "pin_user_pages_unlocked")


@api(since="5.6")
def unpin_user_page(k: Kernel, page: Page) -> None:
    """Give back one pin."""
    pin.unpin_user_page(k, page)


@api(since="5.6")
def unpin_user_pages(k: Kernel, pages: Sequence[Page], npages: int) -> None:
    """Give back a pin of each of the ``npages`` first pages."""
    pin.unpin_user_pages(k, pages, npages)


@api(since="5.6", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, sleeper="gup-dirty-lock-atomic")
def unpin_user_pages_dirty_lock(k: Kernel, pages: Sequence[Page], npages: int, make_dirty: bool) -> None:
    """Give back a pin of each page; with ``make_dirty``, say first that it was written to."""
    pin.unpin_user_pages_dirty_lock(k, pages, npages, make_dirty=make_dirty)


@api(since="5.11", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, sleeper="gup-dirty-lock-atomic")
def unpin_user_page_range_dirty_lock(k: Kernel, page: Page, npages: int, make_dirty: bool) -> None:
    """:func:`unpin_user_pages_dirty_lock` for ``npages`` pages that follow each other."""
    pin.unpin_user_page_range_dirty_lock(k, page, npages, make_dirty=make_dirty)


@api(since="5.7")
def page_maybe_dma_pinned(k: Kernel, page: Page) -> bool:
    """Return whether the page is pinned; it may say so of one with very many references as well."""
    return pin.maybe_dma_pinned(k, page)


# -- dirty, and faults ------------------------------------------------------------------------------------------------


@api(since="2.2")
def set_page_dirty(k: Kernel, page: Page) -> bool:
    """Say that a page was written to; return whether it was clean. The caller holds the page's lock, or its mapping."""
    return pin.set_page_dirty(k, page)


@api(since="2.6", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, sleeper="gup-dirty-lock-atomic")
def set_page_dirty_lock(k: Kernel, page: Page) -> int:
    """:func:`set_page_dirty` under the page's lock, for those who hold nothing but a reference."""
    return pin.set_page_dirty_lock(k, page)


@api(since="2.6.35", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def fixup_user_fault(k: Kernel, mm: mm_struct, address: int, fault_flags: int, unlocked: Any = None) -> Any:
    """Have a page of a process made accessible that a copy without page faults stumbled over; 0 or -errno.

    The caller holds ``mmap_lock``. With ``unlocked`` given it may be dropped and taken again; then a second value
    says whether it was.
    """
    err, dropped = fixup.fixup_user_fault(mm, int(address), fault_flags, may_unlock=unlocked is not None)
    return (err, dropped) if unlocked is not None else err


__all__ = [
    "FOLL_ANON",
    "FOLL_DUMP",
    "FOLL_FAST_ONLY",
    "FOLL_FORCE",
    "FOLL_GET",
    "FOLL_HWPOISON",
    "FOLL_LONGTERM",
    "FOLL_MIGRATION",
    "FOLL_NOFAULT",
    "FOLL_NOWAIT",
    "FOLL_PIN",
    "FOLL_REMOTE",
    "FOLL_SPLIT_PMD",
    "FOLL_TOUCH",
    "FOLL_TRIED",
    "FOLL_WRITE",
    "GUP_PIN_COUNTING_BIAS",
    "__get_user_pages",
    "fixup_user_fault",
    "get_user_pages",
    "get_user_pages_fast",
    "get_user_pages_fast_only",
    "get_user_pages_remote",
    "get_user_pages_unlocked",
    "page_maybe_dma_pinned",
    "pin_user_pages",
    "pin_user_pages_fast",
    "pin_user_pages_fast_only",
    "pin_user_pages_remote",
    "pin_user_pages_unlocked",
    "set_page_dirty",
    "set_page_dirty_lock",
    "unpin_user_page",
    "unpin_user_page_range_dirty_lock",
    "unpin_user_pages",
    "unpin_user_pages_dirty_lock",
]
