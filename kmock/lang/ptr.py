"""``void *``: an address that knows which allocation it came from.

A :class:`Ptr` is an ``int``, so arithmetic, comparison and formatting are what C's are. Beside the number
it carries its provenance, the :class:`~kmock.sanitizers.object.Allocation` it was derived from. That is
what lets kmock find an access that jumps over a redzone into a live neighbour, and a stale pointer to
memory that has a new owner, where an address alone looks valid.

A bare integer made a pointer with ``Ptr(n)`` has no provenance and is checked by its address alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from kmock.current import current
from kmock.lang.arrays import ArrayType
from kmock.lang.views import BigEndian, LittleEndian, PtrView, View

if TYPE_CHECKING:
    from kmock.sanitizers.object import Allocation

_ADDRESS_MASK = (1 << 64) - 1
_BYTES = [bytes([value]) for value in range(256)]
_int = int.__int__
_add = int.__add__
_new = int.__new__


class Ptr(int):
    """A pointer. Falsy when NULL; ``p + 4`` is a Ptr, ``p - q`` an int; ``p[i]`` and ``p[a:b]`` are bytes.

    ``p.u8 p.u16 p.u32 p.u64`` (and ``s8``..., ``le32``, ``be16``...) are indexable typed views, ``p.ptr`` one
    of pointers. Every load and store goes through the simulated MMU and the checks.
    """

    origin: Allocation | None = None
    bounds: tuple[int, int] | None = None
    """Addresses of the struct member that ``&s->member`` points to; arithmetic forgets it."""

    def __class_getitem__(cls, n: int) -> ArrayType:
        """``Ptr[n]``: the type of an array of pointers."""
        return ArrayType(cls, n)

    # -- arithmetic -------------------------------------------------------------------------------

    def __add__(self, other: int) -> Ptr:
        p = _new(Ptr, _add(self, other) & _ADDRESS_MASK)
        p.origin = self.origin
        return p

    __radd__ = __add__

    @overload
    def __sub__(self, other: Ptr) -> int: ...  # type: ignore[overload-overlap]  # a Ptr is an int, and first
    @overload
    def __sub__(self, other: int) -> Ptr: ...
    def __sub__(self, other: int) -> int:
        difference = _int(self) - _int(other)
        if isinstance(other, Ptr):
            return difference
        return make_ptr(difference & _ADDRESS_MASK, self.origin)

    def __and__(self, other: int) -> int:
        # `p & PAGE_MASK` is still a pointer, `p & (align - 1)` is an offset.
        result = _int(self) & _int(other)
        return make_ptr(result, self.origin) if result > 0xFFFF else result

    __rand__ = __and__

    def __or__(self, other: int) -> Ptr:
        return make_ptr(_int(self) | _int(other), self.origin)

    __ror__ = __or__

    # -- memory -----------------------------------------------------------------------------------

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> bytes: ...
    def __getitem__(self, index: int | slice) -> int | bytes:
        mem = (current.kernel or current.get()).mem
        if index.__class__ is slice:
            start, n = _bounds(index)
            return mem.load(self, start, n)
        origin = self.origin
        if origin is not None and origin.live and origin.phys >= 0 and mem.quick:
            at = _add(self, index) - origin.addr  # type: ignore[arg-type]
            if 0 <= at < origin.size:
                return mem.bytes[origin.phys + at]
        return mem.load(self, index, 1)[0]  # type: ignore[arg-type]

    def __setitem__(self, index: int | slice, value: int | bytes) -> None:
        mem = (current.kernel or current.get()).mem
        if index.__class__ is slice:
            start, n = _bounds(index)
            if len(value) != n:  # type: ignore[arg-type]
                msg = f"p[{start}:{start + n}] takes {n} bytes, got {len(value)}"  # type: ignore[arg-type]
                raise ValueError(msg)
            mem.store(self, start, value)  # type: ignore[arg-type]
        else:
            mem.store(self, index, _BYTES[value & 0xFF])  # type: ignore[arg-type, operator]

    def __call__(self, *_args: object) -> Any:
        """Call what the pointer points to; there is no code in simulated memory, so this ends the task."""
        current.get().kasan.instruction_fetch(_int(self), self.origin)

    def __iter__(self) -> Any:
        msg = "a pointer has no length to iterate over: slice it, p[0:n]"
        raise TypeError(msg)

    # -- typed views ------------------------------------------------------------------------------

    @property
    def u8(self) -> View:
        """View as ``u8[]``."""
        return View(self, 1, False)

    @property
    def u16(self) -> View:
        """View as ``u16[]``, little endian as the machine is."""
        return View(self, 2, False)

    @property
    def u32(self) -> View:
        """View as ``u32[]``."""
        return View(self, 4, False)

    @property
    def u64(self) -> View:
        """View as ``u64[]``; storing a pointer keeps its provenance."""
        return View(self, 8, False)

    @property
    def s8(self) -> View:
        """View as ``s8[]``."""
        return View(self, 1, True)

    @property
    def s16(self) -> View:
        """View as ``s16[]``."""
        return View(self, 2, True)

    @property
    def s32(self) -> View:
        """View as ``s32[]``."""
        return View(self, 4, True)

    @property
    def s64(self) -> View:
        """View as ``s64[]``."""
        return View(self, 8, True)

    @property
    def le16(self) -> View:
        """View as ``__le16[]``."""
        return LittleEndian(self, 2)

    @property
    def le32(self) -> View:
        """View as ``__le32[]``."""
        return LittleEndian(self, 4)

    @property
    def le64(self) -> View:
        """View as ``__le64[]``."""
        return LittleEndian(self, 8)

    @property
    def be16(self) -> View:
        """View as ``__be16[]``."""
        return BigEndian(self, 2)

    @property
    def be32(self) -> View:
        """View as ``__be32[]``."""
        return BigEndian(self, 4)

    @property
    def be64(self) -> View:
        """View as ``__be64[]``."""
        return BigEndian(self, 8)

    @property
    def ptr(self) -> PtrView:
        """View as ``void *[]``: elements are pointers with the provenance they were stored with."""
        return PtrView(self)

    # -- text -------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"{_int(self):#x}" if self else "NULL"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(_int(self), spec) if spec else repr(self)

    def __reduce__(self) -> tuple[type, tuple[int]]:
        return (Ptr, (_int(self),))


def _bounds(index: slice) -> tuple[int, int]:
    start, stop = index.start or 0, index.stop
    if stop is None or index.step is not None:
        msg = "a pointer has no length: write p[start:stop]"
        raise TypeError(msg)
    return start, stop - start if stop > start else 0


def make_ptr(address: int, origin: Allocation | None) -> Ptr:
    """Return a pointer to ``address`` that was derived from ``origin``."""
    p = _new(Ptr, address)
    p.origin = origin
    return p


NULL = Ptr(0)


def origin_of(value: Any) -> Allocation | None:
    """Return the allocation that a pointer, or the pointer of a view, is known to come from; None of anything else."""
    origin: Allocation | None = getattr(getattr(value, "_ptr", value), "origin", None)
    return origin
