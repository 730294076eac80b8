"""Members of a Struct: how each kind of member is laid out, loaded and stored."""

from __future__ import annotations

import copy
import ctypes
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, get_args, get_origin

from kmock.current import current
from kmock.lang.arrays import Array, ArrayType
from kmock.lang.integers import Scalar, s32, u8
from kmock.lang.ptr import Ptr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmock.lang.struct import Struct

# Sizes of what Linux 6.1 embeds, on x86-64 without lock debugging (pahole); what is not here takes a pointer's.
EMBEDDED_SIZES = {
    "atomic_t": 4,
    "cdev": 104,
    "completion": 32,
    "delayed_work": 88,
    "device": 744,
    "hlist_node": 16,
    "hrtimer": 64,
    "idr": 24,
    "ida": 16,
    "kobject": 64,
    "kref": 4,
    "list_head": 16,
    "mutex": 32,
    "rcu_head": 16,
    "refcount_t": 4,
    "rw_semaphore": 40,
    "semaphore": 24,
    "sg_table": 16,
    "spinlock_t": 4,
    "raw_spinlock_t": 4,
    "tasklet_struct": 40,
    "timer_list": 40,
    "wait_queue_head_t": 24,
    "work_struct": 32,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the members of a struct lie."""

    offsets: dict[str, int]
    sizes: dict[str, int]
    size: int
    align: int
    bit_fields: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Lowest bit and width, by member."""

    def holes(self) -> list[tuple[int, int]]:
        """Return the padding, as ranges of offsets."""
        found = []
        at = 0
        for name, offset in sorted(self.offsets.items(), key=lambda item: item[1]):
            if offset > at:
                found.append((at, offset))
            at = max(at, offset + self.sizes[name])
        return [*found, (at, self.size)] if at < self.size else found


class Field:
    """A member. As a descriptor of its class it loads from, and stores to, the memory behind a view."""

    def __init__(self, name: str, type: Any) -> None:
        self.name = name
        self.type = type
        self.offset = 0
        self.trailing = False
        """Whether it is the struct's last member."""

    def placed(self, offset: int, bit_field: tuple[int, int] | None) -> Self:
        """Return this member at its place in a struct."""
        there = copy.copy(self)
        there.offset = offset
        return there

    def at(self, view: Struct) -> int:
        """Return the member's offset on the current machine."""
        if not self.offset or current.get().layout.bits == 64:
            return self.offset
        return type(view).layout(32).offsets[self.name]

    def ctype(self, bits: int) -> Any:
        """Return the ctypes type that takes the member's place."""
        return self.type

    def size(self, bits: int) -> int:
        """Return the member's size in bytes."""
        return ctypes.sizeof(self.ctype(bits))

    def __get__(self, view: Struct | None, owner: type) -> Any:
        return self if view is None else self.load(view)

    def load(self, view: Struct) -> Any:
        """Return the member's value."""
        raise AttributeError(self.name)

    def __set__(self, view: Struct, value: Any) -> None:
        raise AttributeError(f"{type(view).__name__}.{self.name} can't be assigned: assign its members")


class ScalarField(Field):
    """An integer."""

    def __init__(self, name: str, type: type[Scalar]) -> None:
        super().__init__(name, type)
        self.bytes = type.size
        self.order = type.order
        self.signed = type.signed
        self.mask = (1 << 8 * type.size) - 1

    def load(self, view: Struct) -> int:
        """Load it."""
        k = current.kernel or current.get()
        offset = self.offset if k.layout.bits == 64 else self.at(view)
        mem = k.mem
        value = int.from_bytes(mem.load(view._ptr, offset, self.bytes), self.order, signed=self.signed)
        return value if mem.told is None else mem.told(view._ptr, offset, value)

    def __set__(self, view: Struct, value: int) -> None:
        k = current.kernel or current.get()
        offset = self.offset if k.layout.bits == 64 else self.at(view)
        k.mem.store(view._ptr, offset, (int(value) & self.mask).to_bytes(self.bytes, self.order))
        if value.__class__ is Ptr:
            mem = k.mem
            # (unsigned long)p: an address in an integer member is still a pointer to whoever casts it back.
            mem.keep_origin(view._ptr, self.at(view), value)


class BitField(Field):
    """Some bits of an integer; storing one rewrites the bytes that the integer's storage unit takes."""

    def __init__(self, name: str, type: type[Scalar], width: int) -> None:
        super().__init__(name, type)
        self.width = width
        self.low = 0

    def placed(self, offset: int, bit_field: tuple[int, int] | None) -> Self:
        """Return it at its place, with its bits."""
        there = super().placed(offset, bit_field)
        there.low, there.width = bit_field or (0, self.width)
        return there

    def _unit(self, view: Struct) -> int:
        return int.from_bytes(current.get().mem.load(view._ptr, self.at(view), self.type.size), "little")

    def load(self, view: Struct) -> int:
        """Load it."""
        return self._unit(view) >> self.low & (1 << self.width) - 1

    def __set__(self, view: Struct, value: int) -> None:
        mask = (1 << self.width) - 1 << self.low
        unit = self._unit(view) & ~mask | int(value) << self.low & mask
        current.get().mem.store(view._ptr, self.at(view), unit.to_bytes(self.type.size, "little"))


class PtrField(Field):
    """A pointer, with the provenance it was stored with."""

    def ctype(self, bits: int) -> Any:
        """Return what takes its place."""
        return ctypes.c_uint64 if bits == 64 else ctypes.c_uint32

    def load(self, view: Struct) -> Ptr:
        """Load it."""
        return current.get().mem.load_ptr(view._ptr, self.at(view))

    def __set__(self, view: Struct, value: Any) -> None:
        from kmock.lang.struct import as_ptr  # noqa: PLC0415 -- structs are made of fields

        current.get().mem.store_ptr(view._ptr, self.at(view), as_ptr(value if value is not None else 0))


class StructField(Field):
    """A struct inside a struct: reads as a view of its place."""

    def ctype(self, bits: int) -> Any:
        """Return what takes its place."""
        return _opaque(self.type.layout(bits).size, self.type.layout(bits).align)

    def load(self, view: Struct) -> Any:
        """Load it."""
        inner = object.__new__(self.type)
        inner._ptr = view._ptr + self.at(view)
        inner._ptr.bounds = (int(inner._ptr), int(inner._ptr) + self.size(64))
        return inner

    def __set__(self, view: Struct, value: Struct) -> None:
        mem = current.get().mem
        mem.copy(view._ptr + self.at(view), value._ptr, self.size(current.get().layout.bits))


class ArrayField(Field):
    """An array: reads as an indexable view that knows its length."""

    def __init__(self, name: str, element: Field, count: int) -> None:
        super().__init__(name, element.type)
        self.element = element
        self.count = count

    def ctype(self, bits: int) -> Any:
        """Return what takes its place."""
        return self.element.ctype(bits) * self.count

    def load(self, view: Struct) -> Array:
        """Load it."""
        # One element at the end is C's old way to say any number.
        count = 0 if self.trailing and self.count == 1 else self.count
        return Array(view._ptr + self.at(view), self.element, count, f"{type(view).__name__}.{self.name}")

    def __set__(self, view: Struct, value: Any) -> None:
        self.load(view)[0 : len(value)] = value


class CtypesField(Field):
    """A ctypes.Structure inside a struct: reads as a copy, as a C assignment would make one."""

    def load(self, view: Struct) -> Any:
        """Load it."""
        data = current.get().mem.load(view._ptr, self.at(view), ctypes.sizeof(self.type))
        return self.type.from_buffer_copy(data)

    def __set__(self, view: Struct, value: Any) -> None:
        current.get().mem.store(view._ptr, self.at(view), bytes(value))


class EmbeddedField(Field):
    """A kernel object that Python holds, bound to the member's address and freed with its memory."""

    def ctype(self, bits: int) -> Any:
        """Return what takes its place."""
        size = getattr(self.type, "C_SIZE", None) or EMBEDDED_SIZES.get(self.type.__name__, 8)
        return _opaque(size, 4 if size % 8 else 8)

    def load(self, view: Struct) -> Any:
        """Load it."""
        mem = current.get().mem
        place = view._ptr + self.at(view)
        return mem.embedded.at(place, self.type)

    def __set__(self, view: Struct, value: Any) -> None:
        current.get().mem.embedded.put(view._ptr + self.at(view), value)


class guarded_by:
    """Says in an annotation which lock of the struct a member is touched under: ``Annotated[u32, guarded_by("lock")]``."""

    __slots__ = ("lock",)

    def __init__(self, lock: str) -> None:
        self.lock = lock


class GuardedField(Field):
    """A member beside a lock: each access is looked at, whether it is made under the lock."""

    def __init__(self, field: Field, locks: tuple[str, ...], *, declared: bool) -> None:
        vars(self).update(vars(field))
        self.field = field
        self.locks = locks
        """The locks that may guard it, by the names of their members."""
        self.declared = declared
        """Whether the struct's definition says so; else it is learnt from how the member is used."""

    def placed(self, offset: int, bit_field: tuple[int, int] | None) -> Self:
        """Return it at its place."""
        return type(self)(self.field.placed(offset, bit_field), self.locks, declared=self.declared)

    def ctype(self, bits: int) -> Any:
        """Return what takes its place."""
        return self.field.ctype(bits)

    def load(self, view: Struct) -> Any:
        """Load it."""
        current.get().guarded_fields.touched(view, self, write=False)
        return self.field.load(view)

    def __set__(self, view: Struct, value: Any) -> None:
        current.get().guarded_fields.touched(view, self, write=True)
        self.field.__set__(view, value)


def beside_locks(fields: Mapping[str, Field]) -> dict[str, Field]:
    """Return the numbers and pointers of a struct with locks in it as members that may be guarded by these."""
    locks = tuple(name for name, field in fields.items() if getattr(field.type, "PROTECTS", False))
    plain = {name: field for name, field in fields.items() if isinstance(field, ScalarField | PtrField)}
    return {name: GuardedField(field, locks, declared=False) for name, field in plain.items()} if locks else {}


def field_for(name: str, kind: Any) -> Field:
    """Return the member that an annotation of that type makes."""
    from kmock.lang.struct import Struct  # noqa: PLC0415 -- structs are made of fields

    if get_origin(kind) is not None:
        base, about = get_args(kind)
        if isinstance(about, guarded_by):
            return GuardedField(field_for(name, base), (about.lock,), declared=True)
        return BitField(name, base, about)
    if isinstance(kind, ArrayType):
        return ArrayField(name, field_for(name, kind.element), kind.count)
    if not isinstance(kind, type):
        raise TypeError(f"member {name!r}: {kind!r} is no type")
    if issubclass(kind, ctypes.Array):
        array: Any = kind
        return ArrayField(name, field_for(name, array._type_), array._length_)
    if issubclass(kind, int) and not issubclass(kind, Ptr):
        return ScalarField(name, u8 if kind is bool else s32)  # type: ignore[arg-type]
    makers: list[tuple[Any, Any]] = [
        (Scalar, ScalarField),
        (Ptr, PtrField),
        (Struct, StructField),
        (ctypes._SimpleCData, lambda name, kind: ScalarField(name, scalar_of(kind))),
        ((ctypes.Structure, ctypes.Union), CtypesField),
    ]
    return next((make(name, kind) for base, make in makers if issubclass(kind, base)), EmbeddedField(name, kind))


def scalar_of(simple: Any) -> type[Scalar]:
    """Return the integer type that stands for a simple ctypes type such as ``c_uint``."""
    from kmock.lang import integers  # noqa: PLC0415 -- looked up by name

    value = simple(-1).value if simple is not ctypes.c_bool else 1
    found: type[Scalar] = getattr(integers, f"{'s' if value == -1 else 'u'}{8 * ctypes.sizeof(simple)}")
    return found


def lay_out(name: str, fields: Mapping[str, Field], bits: int, *, packed: bool, union: bool) -> Layout:
    """Let ctypes lay out a struct of ``fields``."""
    members: dict[str, Any] = {
        "_fields_": [
            (f.name, f.ctype(bits), f.width) if isinstance(f, BitField) else (f.name, f.ctype(bits))
            for f in fields.values()
        ]
    }
    if packed or bits == 32:
        # i386 aligns nothing to more than four bytes.
        members = {"_pack_": 1 if packed else 4, "_layout_": "ms", **members}
    c = type(name, (ctypes.Union if union else ctypes.Structure,), members)
    offsets = {n: getattr(c, n).offset for n in fields}
    sizes = {n: getattr(c, n).size for n in fields}
    bit_fields = {n: (sizes[n] & 0xFFFF, sizes[n] >> 16) for n, f in fields.items() if isinstance(f, BitField)}
    sizes |= {n: fields[n].size(bits) for n in bit_fields}
    return Layout(offsets, sizes, ctypes.sizeof(c), ctypes.alignment(c), bit_fields)


def _opaque(size: int, align: int) -> Any:
    unit = {1: ctypes.c_uint8, 2: ctypes.c_uint16, 4: ctypes.c_uint32, 8: ctypes.c_uint64}[align]
    return unit * (size // align)
