"""C structs over simulated memory: ``class Desc(Struct): addr: u64; len: u32``.

The annotations are the members, in C's order; ctypes does the layout. ``Desc.at(p)`` is a view of the
memory at ``p``: reading a member loads just its bytes, writing one stores just them, so padding stays
unwritten until somebody clears it. ``Desc()`` is a local variable on the kernel stack that lives until
the function that made it returns.

A member may be an integer type (``u8`` to ``be64``), ``Ptr``, another Struct, an array of these
(``u8[16]``, ``Desc[4]``; ``u8[0]`` is a flexible array), a bit field (``Annotated[u32, 3]``), or a class
of kernel objects such as ``spinlock_t``, whose instance belongs to the address and goes with the memory.
``Annotated[u32, guarded_by("lock")]`` is one that is only touched while the struct's ``lock`` is held.
"""

from __future__ import annotations

import ctypes
import inspect
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Self

from kmock.current import current
from kmock.lang.arrays import ArrayType
from kmock.lang.fields import Field, Layout, beside_locks, field_for, lay_out
from kmock.lang.ptr import Ptr, make_ptr

if TYPE_CHECKING:
    from types import FrameType


class StructType(type):
    """The type of Struct classes, for the sake of ``Desc * 4``."""

    def __mul__(cls, n: int) -> ArrayType:
        return ArrayType(cls, n)

    def __getitem__(cls, n: int) -> ArrayType:
        return ArrayType(cls, n)


class Struct(metaclass=StructType):
    """A view of a C struct in simulated memory; subclass it with annotated members.

    Class keywords: ``packed=True`` leaves out padding, ``union=True`` lays all members at offset 0.
    """

    __slots__ = ("__weakref__", "_ptr")
    _ptr: Ptr
    _fields: ClassVar[dict[str, Field]] = {}
    _layouts: ClassVar[dict[int, Layout]]
    _shape: ClassVar[tuple[bool, bool]] = (False, False)

    def __init_subclass__(cls, *, packed: bool = False, union: bool = False) -> None:
        annotations = inspect.get_annotations(cls)
        frame = sys._getframe(1)
        own = {
            name: field_for(name, resolve(annotation, frame))
            for name, annotation in annotations.items()
            if not name.startswith("_") and "ClassVar" not in str(annotation)
        }
        cls._fields = {**cls._fields, **own}
        cls._layouts = {}
        cls._shape = (packed or cls._shape[0], union or cls._shape[1])
        for name, field in own.items():
            setattr(cls, name, field)
        # A member of a base class may lie elsewhere in a packed subclass, so each class has its own.
        layout = cls.layout(64)
        for name in cls._fields:
            cls._fields[name] = field = cls._fields[name].placed(layout.offsets[name], layout.bit_fields.get(name))
            field.trailing = name == next(reversed(cls._fields))
            setattr(cls, name, field)
        for name, field in beside_locks(cls._fields).items():
            setattr(cls, name, field)

    @classmethod
    def layout(cls, bits: int) -> Layout:
        """Return the offsets, size and alignment on a machine with pointers of ``bits`` bits."""
        found = cls._layouts.get(bits)
        if found is None:
            packed, union = cls._shape
            found = cls._layouts[bits] = lay_out(cls.__name__, cls._fields, bits, packed=packed, union=union)
        return found

    def __new__(cls) -> Self:
        """A local variable of this type, on the current task's kernel stack."""
        return cls.at(current.get().stack_buffer(sizeof(cls)))

    @classmethod
    def at(cls, ptr: int) -> Self:
        """Return a view of the struct at ``ptr``; nothing is loaded."""
        view = object.__new__(cls)
        view._ptr = p = ptr if ptr.__class__ is Ptr else as_ptr(ptr)
        origin = p.origin
        if origin is not None:
            # Which bytes of the memory are padding is known by the type it was seen as last.
            origin.seen_as = (cls, int(p) - origin.addr)
        return view

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Struct, int)) and int(as_ptr(other)) == int(self._ptr)

    def __hash__(self) -> int:
        return hash(int(self._ptr))

    def __bool__(self) -> bool:
        return bool(self._ptr)

    def __index__(self) -> int:
        return int(self._ptr)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self._ptr!r}>"


def resolve(annotation: Any, frame: FrameType) -> Any:
    """Return the type that ``annotation`` names in the place where the class is defined."""
    if not isinstance(annotation, str):
        return annotation
    return eval(annotation, frame.f_globals, frame.f_locals)  # noqa: S307 -- what typing.get_type_hints() does


# -- operators ------------------------------------------------------------------------------------------


def as_ptr(x: Any) -> Ptr:
    """Return ``x`` as a pointer: a pointer, a number, a Struct view, or a kernel object embedded in a Struct."""
    if isinstance(x, Ptr):
        return x
    if isinstance(x, Struct):
        return x._ptr
    if isinstance(x, int):
        return Ptr(x)
    address = getattr(x, "_address", None)
    if isinstance(address, Ptr):
        return address
    mem = current.get().mem
    at = mem.embedded.address(x)
    if at is None:
        raise TypeError(f"{x!r} is a {type(x).__name__} that lies in no simulated memory, so it has no address")
    return make_ptr(at, mem.owner(at))


def addressof(x: Any) -> Ptr:
    """C's ``&x``, for a Struct view, a member that is a struct or an array, and an embedded kernel object."""
    return as_ptr(x)


def assign(view: Any, member: str | int, value: Any) -> None:
    """C's ``view->member = value``; a number names an array's element."""
    if isinstance(member, int):
        view[member] = value
    else:
        setattr(view, member, value)


def sizeof(x: Any) -> int:
    """C's ``sizeof``: bytes of a type, of a Struct view, or of an array member."""
    if isinstance(x, type) and issubclass(x, Struct):
        return int(x.layout(_bits()).size)
    if isinstance(x, Struct):
        return type(x).layout(_bits()).size
    if isinstance(x, ArrayType):
        return sizeof(x.element) * x.count
    if isinstance(x, type) and issubclass(x, int):
        return {bool: 1, int: 4}.get(x, _bits() // 8)
    if isinstance(x, (bytes, bytearray)):
        return len(x)
    if (size := getattr(x, "_sizeof", None)) is not None:
        return int(size)
    if isinstance(x, int):
        return _bits() // 8
    if (
        isinstance(x, type)
        and not issubclass(x, ctypes._SimpleCData)
        and not hasattr(x, "_fields_")
        and not hasattr(x, "_length_")
    ):
        return field_for("", x).size(_bits())
    return ctypes.sizeof(x)


def offsetof(type: Any, member: str) -> int:
    """C's ``offsetof``: the byte offset of ``member``, which may be a path such as ``"ring.head"``."""
    first, _, rest = member.partition(".")
    if issubclass(type, Struct):
        layout = type.layout(_bits())
        if first not in layout.offsets:
            raise AttributeError(f"struct {type.__name__} has no member {first!r}: it has {', '.join(layout.offsets)}")
        inner, offset = type._fields[first].type, layout.offsets[first]
    elif (members := getattr(type, "C_MEMBERS", None)) is not None:
        # A kernel object that embeds others, such as a delayed_work.
        offset, inner = members[first]
    else:
        inner, offset = dict(type._fields_)[first], getattr(type, first).offset
    return int(offset) + (offsetof(inner, rest) if rest else 0)


def container_of(ptr: Any, type: Any, member: str) -> Any:
    """Return the ``type`` that ``ptr`` is the member ``member`` of.

    For a Struct that is a view, for a ctypes.Structure a pointer; for a plain Python class the instance
    whose attribute ``member`` is the object ``ptr``.
    """
    if issubclass(type, Struct):
        return type.at(as_ptr(ptr) - offsetof(type, member))
    if issubclass(type, ctypes.Structure):
        return as_ptr(ptr) - offsetof(type, member)
    return python_container(ptr, type, member)


def python_container(inner: Any, type: type, member: str) -> Any:
    """Return the instance of a plain Python class whose attribute ``member`` is ``inner``."""
    import gc  # noqa: PLC0415 -- the rare way to a container that kmock did not lay out

    outer, _, last = member.rpartition(".")
    if outer:
        between = next(r for r in gc.get_referrers(inner) if getattr(r, last, None) is inner)
        return python_container(between, type, outer)
    for referrer in gc.get_referrers(inner):
        candidates = gc.get_referrers(referrer) if isinstance(referrer, dict) else (referrer,)
        for candidate in candidates:
            if isinstance(candidate, type) and getattr(candidate, member, None) is inner:
                return candidate
    raise TypeError(f"no {type.__name__} has {inner!r} as its member {member!r}")


def _bits() -> int:
    return current.kernel.layout.bits if current.kernel is not None else 64
