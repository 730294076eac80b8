"""``<linux/idr.h>``: small numbers for pointers (``idr``), and small numbers alone (``ida``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import xarray as _xarray
from kmock.kernel.xarray import INT_MAX as _INT_MAX
from kmock.kernel.xarray import ida, idr
from kmock.lang.ptr import NULL
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.err import ERR_PTR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.machine import Kernel

_EINVAL, _ENOENT = 22, 2


# -- idr --------------------------------------------------------------------------------------------


def DEFINE_IDR(name: str) -> idr:
    """Define an empty idr."""
    return idr(name)


@api(since="2.5.14")
def idr_init(k: Kernel, idr: idr) -> None:
    """Make an idr empty."""
    idr.of(k).by_index.clear()


@api(since="3.9", sleeps=Sleeps.GFP, undo="idr_remove", fails=True)
def idr_alloc(k: Kernel, idr: idr, ptr: Any, start: int, end: int, gfp: int) -> int:
    """The lowest free id from ``start``, below ``end`` unless that is 0, now ``ptr``'s; -ENOSPC, -ENOMEM or -EINVAL."""
    if start < 0:
        k.warn("driver-warning", "lib/idr.c:86", "idr_alloc")
        return -_EINVAL
    return _xarray.alloc(k, idr, ptr, start, end - 1 if end > 0 else _INT_MAX, gfp)


@api(since="3.10", sleeps=Sleeps.GFP, undo="idr_remove", fails=True)
def idr_alloc_cyclic(k: Kernel, idr: idr, ptr: Any, start: int, end: int, gfp: int) -> int:
    """:func:`idr_alloc` that goes on behind the last id it gave, and begins again at the end."""
    return _xarray.alloc(k, idr, ptr, start, end - 1 if end > 0 else _INT_MAX, gfp, cyclic=True)


@api(since="2.5.14")
def idr_find(k: Kernel, idr: idr, id: int) -> Any:
    """What the id stands for; NULL if for nothing."""
    found = idr.of(k).by_index.get(int(id))
    return found.value if found is not None else NULL


@api(since="2.5.14")
def idr_remove(k: Kernel, idr: idr, id: int) -> Any:
    """Free an id: what it stood for, or NULL."""
    found = _xarray.erase(k, idr, int(id))
    return NULL if found is None else found


@api(since="2.6.16")
def idr_replace(k: Kernel, idr: idr, ptr: Any, id: int) -> Any:
    """Let an id stand for something else: what it stood for, or ERR_PTR(-ENOENT)."""
    if int(id) not in idr.of(k).by_index:
        return ERR_PTR(-_ENOENT)
    return _xarray.store(k, idr, int(id), ptr, 0)


@api(since="2.6.23")
def idr_for_each(k: Kernel, idr: idr, fn: Callable[[int, Any, Any], int], data: Any) -> int:
    """Call ``fn(id, ptr, data)`` for each id until it returns something; return that, or 0."""
    for id, ptr in idr.of(k):
        if err := fn(id, ptr, data):
            return err
    return 0


@api(since="3.1")
def idr_for_each_entry(k: Kernel, idr: idr) -> Iterator[tuple[Any, int]]:
    """``(entry, id)`` for each id, the lowest first: C's loop macro."""
    return iter([(ptr, id) for id, ptr in idr.of(k)])


@api(since="2.6.29")
def idr_get_next(k: Kernel, idr: idr, nextid: int) -> tuple[Any, int]:
    """The entry at the lowest id from ``nextid`` on, and that id; NULL if there is none."""
    return next(((ptr, id) for id, ptr in idr.of(k) if id >= nextid), (NULL, nextid))


@api(since="3.9")
def idr_is_empty(k: Kernel, idr: idr) -> bool:
    """Whether no id is taken."""
    return not idr.of(k).by_index


@api(since="2.6.23")
def idr_destroy(k: Kernel, idr: idr) -> None:
    """Free all ids; what they stand for is the caller's to free, before."""
    _xarray.destroy(k, idr)


@api(since="3.9", sleeps=Sleeps.GFP, undo="idr_preload_end")
def idr_preload(k: Kernel, gfp_mask: int) -> None:
    """Have memory at hand for an allocation that may not sleep; here there is always some."""


@api(since="3.9")
def idr_preload_end(k: Kernel) -> None:
    """End of :func:`idr_preload`."""


# -- ida --------------------------------------------------------------------------------------------


def DEFINE_IDA(name: str) -> ida:
    """Define an ida with no id taken."""
    return ida(name)


@api(since="2.6.23")
def ida_init(k: Kernel, ida: ida) -> None:
    """Make all ids free."""
    ida.of(k).by_index.clear()


@api(since="4.19", sleeps=Sleeps.GFP, undo="ida_free", fails=True)
def ida_alloc(k: Kernel, ida: ida, gfp: int) -> int:
    """The lowest free id, now taken; -ENOSPC or -ENOMEM."""
    return _xarray.alloc(k, ida, None, 0, _INT_MAX, gfp)


@api(since="4.19", sleeps=Sleeps.GFP, undo="ida_free", fails=True)
def ida_alloc_min(k: Kernel, ida: ida, min: int, gfp: int) -> int:
    """The same from ``min`` on."""
    return _xarray.alloc(k, ida, None, min, _INT_MAX, gfp)


@api(since="4.19", sleeps=Sleeps.GFP, undo="ida_free", fails=True)
def ida_alloc_max(k: Kernel, ida: ida, max: int, gfp: int) -> int:
    """The same up to ``max``, which is included."""
    return _xarray.alloc(k, ida, None, 0, max, gfp)


@api(since="4.19", sleeps=Sleeps.GFP, undo="ida_free", fails=True)
def ida_alloc_range(k: Kernel, ida: ida, min: int, max: int, gfp: int) -> int:
    """The same from ``min`` to ``max``, both included."""
    return _xarray.alloc(k, ida, None, min, max, gfp)


@api(since="4.19")
def ida_free(k: Kernel, ida: ida, id: int) -> None:
    """Free an id."""
    _xarray.free_id(k, ida, id)


@api(since="3.1", until="6.9", replaced_by="ida_alloc_range", sleeps=Sleeps.GFP, undo="ida_simple_remove", fails=True)
def ida_simple_get(k: Kernel, ida: ida, start: int, end: int, gfp: int) -> int:
    """:func:`ida_alloc_range` with an end that is not included, 0 for none."""
    return _xarray.alloc(k, ida, None, start, end - 1 if end > 0 else _INT_MAX, gfp)


@api(since="3.1", until="6.9", replaced_by="ida_free")
def ida_simple_remove(k: Kernel, ida: ida, id: int) -> None:
    """:func:`ida_free` by its old name."""
    _xarray.free_id(k, ida, id)


@api(since="4.11")
def ida_is_empty(k: Kernel, ida: ida) -> bool:
    """Whether no id is taken."""
    return not ida.of(k).by_index


@api(since="2.6.23")
def ida_destroy(k: Kernel, ida: ida) -> None:
    """Free all ids."""
    _xarray.destroy(k, ida)


__getattr__ = header_getattr(__name__)
__all__ = [
    "DEFINE_IDA",
    "DEFINE_IDR",
    "ida",
    "ida_alloc",
    "ida_alloc_max",
    "ida_alloc_min",
    "ida_alloc_range",
    "ida_destroy",
    "ida_free",
    "ida_init",
    "ida_is_empty",
    "ida_simple_get",
    "ida_simple_remove",
    "idr",
    "idr_alloc",
    "idr_alloc_cyclic",
    "idr_destroy",
    "idr_find",
    "idr_for_each",
    "idr_for_each_entry",
    "idr_get_next",
    "idr_init",
    "idr_is_empty",
    "idr_preload",
    "idr_preload_end",
    "idr_remove",
    "idr_replace",
]
