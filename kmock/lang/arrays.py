"""Array members of a Struct: they know their length, so an index beyond it is found before it does harm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.current import current

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kmock.lang.fields import Field
    from kmock.lang.ptr import Ptr


class ArrayType:
    """``element[count]``, where the element is a Struct or a pointer."""

    __slots__ = ("count", "element")

    def __init__(self, element: Any, count: int) -> None:
        self.element = element
        self.count = count


class Array:
    """``element[count]`` at an address. Indexing is C's; slices of bytes are bytes, of other elements lists.

    ``array + n`` is C's, too: a pointer to the element ``n``.

    An index outside ``[0, count)`` is reported as intra-object-overflow and then does what C does: it
    touches what lies there. A count of 0 is a flexible array, bounded by its allocation alone.
    """

    __slots__ = ("_address", "_element", "_name", "count")

    def __init__(self, address: Ptr, element: Field, count: int, name: str) -> None:
        self._address = address
        self._element = element
        self._name = name
        self.count = count
        if count:
            address.bounds = (int(address), int(address) + self._sizeof)

    @property
    def _sizeof(self) -> int:
        return self.count * self._stride

    @property
    def _stride(self) -> int:
        return self._element.size(current.get().layout.bits)

    def _place(self, index: int, *, write: bool) -> _Element:
        if self.count and not 0 <= index < self.count:
            at = self._address + index * self._stride
            current.get().kasan.member_overflow(
                at, self._stride, write=write, member=self._name, what=f"index {index} of {self.count}"
            )
        return _Element(self._address + index * self._stride)

    def __len__(self) -> int:
        return self.count

    def __add__(self, n: int) -> Ptr:
        return self._address + n * self._stride

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            found = [self[i] for i in self._range(index)]
            return bytes(found) if self._is_bytes else found
        return self._element.load(self._place(int(index), write=False))  # type: ignore[arg-type]

    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice):
            self._store_all(index, value)
        else:
            self._element.__set__(self._place(int(index), write=True), value)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(self.count))

    def __bytes__(self) -> bytes:
        return current.get().mem.load(self._address, 0, self._sizeof)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (bytes, bytearray)):
            return bytes(self) == other
        return isinstance(other, Array) and other._address == self._address

    __hash__ = None  # type: ignore[assignment]  # contents change

    def __repr__(self) -> str:
        return f"<{self._name}[{self.count}] at {self._address!r}>"

    @property
    def _is_bytes(self) -> bool:
        return getattr(self._element, "bytes", 0) == 1

    def _range(self, index: slice) -> range:
        start = 0 if index.start is None else int(index.start)
        stop = self.count if index.stop is None else int(index.stop)
        return range(start, stop, index.step or 1)

    def _store_all(self, index: slice, values: Sequence[Any]) -> None:
        places = self._range(index)
        if len(values) != len(places):
            raise ValueError(f"{self._name}: {len(places)} elements take as many values, got {len(values)}")
        for i, value in zip(places, values, strict=True):
            self[i] = value


class _Element:
    """Stands for the view when a field is used as an array's element: the element lies at offset 0."""

    __slots__ = ("_ptr",)

    def __init__(self, ptr: Ptr) -> None:
        self._ptr = ptr
