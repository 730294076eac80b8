"""Arrays of pointers by index, and numbers handed out once (``lib/xarray.c``, ``lib/idr.c``).

An :class:`xarray`, an :class:`idr` and an :class:`ida` are the same here: entries by index, each with the place that
stored it.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kmock.kernel.held import PerKernel
from kmock.lang.ptr import Ptr
from kmock.lang.struct import Struct
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

INT_MAX: Final = 0x7FFF_FFFF
ULONG_MAX: Final = (1 << 64) - 1
SIZEOF_NODE: Final = 576
"""sizeof(struct xa_node): what a store may have to allocate."""
NODE_SLOTS: Final = 64


class Stored(NamedTuple):
    """One entry."""

    value: Any
    stack: Stack


class Entries:
    """The entries of one array in one kernel."""

    __slots__ = ("by_index", "marks", "next")

    def __init__(self) -> None:
        self.by_index: dict[int, Stored] = {}
        self.marks: dict[int, set[int]] = {}
        """Indices by mark."""
        self.next = 0
        """Where a cyclic allocation goes on."""

    def lowest_free(self, least: int, most: int) -> int | None:
        """The lowest index in ``[least, most]`` that nothing is at."""
        at = least
        while at in self.by_index:
            at += 1
        return at if at <= most else None

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        return iter([(index, self.by_index[index].value) for index in sorted(self.by_index)])


class xarray(PerKernel[Entries]):
    """``struct xarray``; ``first`` is the lowest index that ``xa_alloc()`` hands out."""

    __slots__ = ("first", "name")
    C_SIZE = 16
    call = "xa_destroy"

    def __init__(self, name: str = "", first: int = 0) -> None:
        super().__init__()
        self.name = name
        self.first = first

    def fresh(self) -> Entries:
        """Nothing is in it."""
        return Entries()

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The structure that it is embedded in is being freed."""
        not_empty(k, self, "is freed")


class idr(xarray):
    """``struct idr``: ids for pointers."""

    __slots__ = ()
    C_SIZE = 24
    call = "idr_destroy"


class ida(xarray):
    """``struct ida``: ids for nothing."""

    __slots__ = ()
    call = "ida_destroy"

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """Ids are no memory: that some are out is no leak of anything."""


def store(k: Kernel, xa: xarray, index: int, value: Any, gfp: int) -> Any:
    """``xa_store()``: what was there, or -ENOMEM as an int below 0; None erases."""
    entries = xa.of(k)
    old = entries.by_index.get(index)
    if value is None or (isinstance(value, Ptr) and not value):
        return erase(k, xa, index)
    if old is None and _no_memory(k, entries, index, gfp):
        return -errno.ENOMEM
    entries.by_index[index] = Stored(value, capture(2))
    return old.value if old is not None else None


def _no_memory(k: Kernel, entries: Entries, index: int, gfp: int) -> bool:
    """Whether a store at ``index`` needs a node and there is no memory for it."""
    if not k.faults.active:
        return False
    node = index // NODE_SLOTS
    return not any(i // NODE_SLOTS == node for i in entries.by_index) and k.faults.should_fail_kmalloc(SIZEOF_NODE, gfp)


def erase(k: Kernel, xa: xarray, index: int) -> Any:
    """``xa_erase()``: what was there, None if nothing."""
    entries = xa.of(k)
    for marked in entries.marks.values():
        marked.discard(index)
    old = entries.by_index.pop(index, None)
    return old.value if old is not None else None


def alloc(k: Kernel, xa: xarray, value: Any, least: int, most: int, gfp: int, *, cyclic: bool = False) -> int:
    """``xa_alloc()``, ``idr_alloc()``, ``ida_alloc_range()``: the index that ``value`` is at now, -ENOSPC or -ENOMEM."""
    entries = xa.of(k)
    found = entries.lowest_free(max(least, entries.next), most) if cyclic else None
    if found is None:
        found = entries.lowest_free(least, most)
    if found is None:
        return -errno.ENOSPC
    if _no_memory(k, entries, found, gfp):
        return -errno.ENOMEM
    entries.by_index[found] = Stored(value, capture(2))
    if cyclic:
        entries.next = found + 1
    return found


def destroy(k: Kernel, xa: xarray) -> None:
    """``xa_destroy()``, ``idr_destroy()``, ``ida_destroy()``: empty it."""
    if not isinstance(xa, ida):
        not_empty(k, xa, f"is given to {xa.call}()")
    entries = xa.of(k)
    entries.by_index.clear()
    entries.marks.clear()


def not_empty(k: Kernel, xa: xarray, what: str) -> None:
    """Report entries that nobody will find again: of those whose memory was freed nothing is lost."""
    left = [stored for stored in xa.of(k).by_index.values() if _lives(stored.value)]
    if not left:
        return
    stack = k.capture()
    name = f" {xa.name}" if xa.name else ""
    k.report(
        "idr-not-empty",
        f"BUG: kmock: idr-not-empty in {k.symbol(stack)}",
        lines=[f"the {type(xa).__name__}{name} {what} with {len(left)} entr{'y' if len(left) == 1 else 'ies'} in it"],
        stacks={"access": stack, "stored": left[0].stack},
        key=(xa, "destroyed"),
    )


def _lives(value: Any) -> bool:
    at = value._ptr if isinstance(value, Struct) else value
    origin = getattr(at, "origin", None)
    # A number is a value entry, which is no memory either.
    return bool(origin.live) if origin is not None else not isinstance(value, int)


def free_id(k: Kernel, ids: ida, number: int) -> None:
    """``ida_free()``."""
    if number < 0:
        return
    if ids.of(k).by_index.pop(number, None) is None:
        text = f"ida_free called for id={number} which is not allocated."
        k.warn("ida-free-bad", "lib/idr.c:527", "ida_free", text, key=(ids, number))
