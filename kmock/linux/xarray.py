"""``<linux/xarray.h>``: an array of pointers with as many places as there are numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kmock.kernel import xarray as _xarray
from kmock.kernel.xarray import ULONG_MAX as _ULONG_MAX
from kmock.kernel.xarray import xarray
from kmock.lang.ptr import NULL, Ptr
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel

XA_MARK_0, XA_MARK_1, XA_MARK_2 = range(3)
XA_PRESENT: Final = 8
_EBUSY = 16
_TOP: Final = 1 << 64


class xa_limit(NamedTuple):
    """The indices that ``xa_alloc()`` may give, ``max`` included."""

    max: int
    min: int


def XA_LIMIT(min: int, max: int) -> xa_limit:
    """A limit."""
    return xa_limit(max, min)


xa_limit_32b: Final = xa_limit(0xFFFF_FFFF, 0)
xa_limit_31b: Final = xa_limit(0x7FFF_FFFF, 0)
xa_limit_16b: Final = xa_limit(0xFFFF, 0)


def DEFINE_XARRAY(name: str) -> xarray:
    """Define an empty array."""
    return xarray(name)


def DEFINE_XARRAY_ALLOC(name: str) -> xarray:
    """Define one that hands out its indices, from 0 on."""
    return xarray(name)


def DEFINE_XARRAY_ALLOC1(name: str) -> xarray:
    """The same from 1 on."""
    return xarray(name, first=1)


class Value(int):
    """A number stored in place of a pointer."""


def xa_mk_value(v: int) -> Value:
    """A number as an entry."""
    return Value(v)


def xa_to_value(entry: Any) -> int:
    """The number in an entry."""
    return int(entry)


def xa_is_value(entry: Any) -> bool:
    """Whether an entry is a number."""
    return isinstance(entry, Value)


def xa_is_err(entry: Any) -> bool:
    """Whether what a call returned is an error."""
    return isinstance(entry, Ptr) and int(entry) >= _TOP - 4095


def xa_err(entry: Any) -> int:
    """The negative errno in it, or 0."""
    return int(entry) - _TOP if xa_is_err(entry) else 0


def _or_error(found: Any) -> Any:
    if found is None:
        return NULL
    return Ptr(found % _TOP) if type(found) is int else found


@api(since="4.20")
def xa_init(k: Kernel, xa: xarray) -> None:
    """Make an array empty."""
    xa.of(k).by_index.clear()


@api(since="4.20")
def xa_load(k: Kernel, xa: xarray, index: int) -> Any:
    """The entry at ``index``, or NULL."""
    found = xa.of(k).by_index.get(int(index))
    return found.value if found is not None else NULL


@api(since="4.20", sleeps=Sleeps.GFP, undo="xa_erase", fails=True)
def xa_store(k: Kernel, xa: xarray, index: int, entry: Any, gfp: int) -> Any:
    """Store an entry, or erase one with NULL: what was there, NULL, or what :func:`xa_err` knows to be an error."""
    return _or_error(_xarray.store(k, xa, int(index), entry, gfp))


@api(since="4.20", sleeps=Sleeps.GFP, undo="xa_erase", fails=True)
def xa_insert(k: Kernel, xa: xarray, index: int, entry: Any, gfp: int) -> int:
    """Store an entry where there is none: 0, -EBUSY or -ENOMEM."""
    if int(index) in xa.of(k).by_index:
        return -_EBUSY
    found = _xarray.store(k, xa, int(index), entry, gfp)
    return found if type(found) is int else 0


@api(since="4.20", sleeps=Sleeps.GFP, fails=True)
def xa_cmpxchg(k: Kernel, xa: xarray, index: int, old: Any, entry: Any, gfp: int) -> Any:
    """Store an entry if ``old`` is there: what was there."""
    found = xa.of(k).by_index.get(int(index))
    there = found.value if found is not None else NULL
    if there is old or (isinstance(old, int) and there == old):
        return _or_error(_xarray.store(k, xa, int(index), entry, gfp))
    return there


@api(since="4.20")
def xa_erase(k: Kernel, xa: xarray, index: int) -> Any:
    """Take an entry out: what was there, or NULL."""
    return _or_error(_xarray.erase(k, xa, int(index)))


@api(since="4.20", sleeps=Sleeps.GFP, undo="xa_erase", fails=True)
def xa_alloc(k: Kernel, xa: xarray, entry: Any, limit: xa_limit, gfp: int) -> tuple[int, int]:
    """Store an entry at the lowest free index in the limit: 0, -EBUSY or -ENOMEM; and the index."""
    found = _xarray.alloc(k, xa, entry, max(limit.min, xa.first), limit.max, gfp)
    return (0, found) if found >= 0 else (-_EBUSY if found == -28 else found, 0)


@api(since="5.1", sleeps=Sleeps.GFP, undo="xa_erase", fails=True)
def xa_alloc_cyclic(k: Kernel, xa: xarray, entry: Any, limit: xa_limit, gfp: int) -> tuple[int, int]:
    """The same, going on behind the last index given: 0, or 1 where it began again; and the index."""
    before = xa.of(k).next
    found = _xarray.alloc(k, xa, entry, max(limit.min, xa.first), limit.max, gfp, cyclic=True)
    if found < 0:
        return (-_EBUSY if found == -28 else found), 0
    return int(found < before), found


@api(since="4.20")
def xa_find(k: Kernel, xa: xarray, index: int, max: int, filter: int) -> tuple[Any, int]:
    """The first entry from ``index`` to ``max`` with the mark ``filter``, or any for XA_PRESENT; and its index."""
    marked = xa.of(k).marks.get(filter, set())
    for at, entry in xa.of(k):
        if index <= at <= max and (filter == XA_PRESENT or at in marked):
            return entry, at
    return NULL, index


@api(since="4.20")
def xa_for_each(k: Kernel, xa: xarray) -> Iterator[tuple[int, Any]]:
    """``(index, entry)`` for each entry, the lowest first: C's loop macro."""
    return iter(xa.of(k))


@api(since="4.20")
def xa_empty(k: Kernel, xa: xarray) -> bool:
    """Whether nothing is in it."""
    return not xa.of(k).by_index


@api(since="4.20")
def xa_destroy(k: Kernel, xa: xarray) -> None:
    """Empty an array; what its entries point to is the caller's to free, before."""
    _xarray.destroy(k, xa)


@api(since="4.20")
def xa_set_mark(k: Kernel, xa: xarray, index: int, mark: int) -> None:
    """Mark an entry; nothing if there is none."""
    if int(index) in xa.of(k).by_index:
        xa.of(k).marks.setdefault(mark, set()).add(int(index))


@api(since="4.20")
def xa_clear_mark(k: Kernel, xa: xarray, index: int, mark: int) -> None:
    """Take a mark off."""
    xa.of(k).marks.get(mark, set()).discard(int(index))


@api(since="4.20")
def xa_get_mark(k: Kernel, xa: xarray, index: int, mark: int) -> bool:
    """Whether an entry has a mark."""
    return int(index) in xa.of(k).marks.get(mark, ())


@api(since="4.20")
def xa_marked(k: Kernel, xa: xarray, mark: int) -> bool:
    """Whether any entry has it."""
    return bool(xa.of(k).marks.get(mark))


ULONG_MAX: Final = _ULONG_MAX
__getattr__ = header_getattr(__name__)
__all__ = [
    "DEFINE_XARRAY",
    "DEFINE_XARRAY_ALLOC",
    "DEFINE_XARRAY_ALLOC1",
    "ULONG_MAX",
    "XA_LIMIT",
    "XA_MARK_0",
    "XA_MARK_1",
    "XA_MARK_2",
    "XA_PRESENT",
    "xa_alloc",
    "xa_alloc_cyclic",
    "xa_clear_mark",
    "xa_cmpxchg",
    "xa_destroy",
    "xa_empty",
    "xa_erase",
    "xa_err",
    "xa_find",
    "xa_for_each",
    "xa_get_mark",
    "xa_init",
    "xa_insert",
    "xa_is_err",
    "xa_is_value",
    "xa_limit",
    "xa_limit_16b",
    "xa_limit_31b",
    "xa_limit_32b",
    "xa_load",
    "xa_marked",
    "xa_mk_value",
    "xa_set_mark",
    "xa_store",
    "xa_to_value",
    "xarray",
]
