"""Devices on the memory bus: register windows at physical addresses, and models of the devices behind them.

A window without a model is plain bytes. A model is any object with ``read(offset, width)`` and
``write(offset, width, value)``; the usual one declares its registers::

    class Timer(RegisterModel):
        CTRL = Register(0x00, reset=0x1)
        STATUS = Register(0x04, access="ro", read_to_clear=0xFF)
        IRQ = Register(0x08, write_one_to_clear=0xFFFF_FFFF)

        @CTRL.written
        def start(self, value):
            self.STATUS |= 1        # the device's own view: no side effects

What the hardware lets pass in silence (a wrong width, a write to what can't be written) is told by
:meth:`Window.problem`, so that somebody above can say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, Self, TypeVar, overload, runtime_checkable

from sortedcontainers import SortedDict

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

ACCESSES: Final = ("rw", "ro", "wo")
WIDTHS: Final = (1, 2, 4, 8)


class Problem(NamedTuple):
    """What is wrong with an access that the hardware lets pass."""

    kind: str
    text: str


@runtime_checkable
class Model(Protocol):
    """A device behind a window; ``offset`` counts from the window's start, ``width`` is in bytes."""

    def read(self, offset: int, width: int) -> int:
        """Return what a load gives."""

    def write(self, offset: int, width: int, value: int) -> None:
        """Take a store."""


class Register:
    """One register, declared as an attribute of a :class:`RegisterModel`.

    ``offset`` and ``width`` are in bytes. ``access`` is ``rw``, ``ro`` or ``wo``. ``read_to_clear`` are the bits that
    a load clears, ``write_one_to_clear`` those that a store of ones clears, ``writable`` those that a store sets at all.

    On an instance of the model the attribute is the register's value, an int.
    """

    def __init__(
        self,
        offset: int,
        *,
        width: Literal[1, 2, 4, 8] = 4,
        reset: int = 0,
        access: Literal["rw", "ro", "wo"] = "rw",
        read_to_clear: int = 0,
        write_one_to_clear: int = 0,
        writable: int = -1,
    ) -> None:
        if width not in WIDTHS:
            raise ValueError(f"a register is 1, 2, 4 or 8 bytes wide, not {width}")
        if access not in ACCESSES:
            raise ValueError(f"access is one of {', '.join(ACCESSES)}, not {access!r}")
        if offset < 0 or offset % width:
            raise ValueError(f"a register of {width} bytes can't be at offset {offset:#x}")
        self.offset = offset
        self.width = width
        self.reset = reset
        self.access = access
        self.read_to_clear = read_to_clear
        self.write_one_to_clear = write_one_to_clear
        self.writable = writable & ~write_one_to_clear
        self.name = f"register {offset:#x}"
        self.on_read: Callable[[Any], int] | None = None
        self.on_write: Callable[[Any, int], object] | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def reading(self, function: F) -> F:
        """Decorate a method that is called for each load and returns the value to give."""
        self.on_read = function
        return function

    def written(self, function: F) -> F:
        """Decorate a method that is called after each store, with the value stored."""
        self.on_write = function
        return function

    @property
    def mask(self) -> int:
        """All its bits."""
        return (1 << 8 * self.width) - 1

    @overload
    def __get__(self, model: None, owner: type) -> Self: ...
    @overload
    def __get__(self, model: RegisterModel, owner: type) -> int: ...
    def __get__(self, model: RegisterModel | None, owner: type) -> Self | int:
        return self if model is None else model.values[self]

    def __set__(self, model: RegisterModel, value: int) -> None:
        model.values[self] = value & self.mask


class RegisterModel:
    """A device that is its registers; subclasses declare them as :class:`Register` attributes."""

    def __init__(self) -> None:
        declared = {name: r for cls in type(self).__mro__[::-1] for name, r in vars(cls).items()}
        self.registers = sorted((r for r in declared.values() if isinstance(r, Register)), key=lambda r: r.offset)
        for low, high in zip(self.registers, self.registers[1:], strict=False):
            if low.offset + low.width > high.offset:
                raise ValueError(f"{type(self).__name__}: {low.name} and {high.name} overlap")
        self.values: dict[Register, int] = {}
        self.reset()

    def reset(self) -> None:
        """Give every register its reset value."""
        for register in self.registers:
            self.values[register] = register.reset & register.mask

    def register(self, offset: int) -> Register | None:
        """Return the register that the byte at ``offset`` belongs to."""
        return next((r for r in self.registers if r.offset <= offset < r.offset + r.width), None)

    def problem(self, offset: int, width: int, *, write: bool) -> Problem | None:
        """Say what is wrong with an access, None if nothing is."""
        register = self.register(offset)
        if register is None:
            return Problem("mmio-out-of-range", f"the device has no register at offset {offset:#x}")
        if (offset, width) != (register.offset, register.width):
            text = (
                f"{register.name} is {register.width} bytes at {register.offset:#x}, accessed as {width} at {offset:#x}"
            )
            return Problem("mmio-unaligned-or-width", text)
        if register.access == ("ro" if write else "wo"):
            return Problem("mmio-register-rights", f"{register.name} can't be {'written' if write else 'read'}")
        return None

    def read(self, offset: int, width: int) -> int:
        """Load a register; what is no register, or can't be read, gives zero."""
        register = self.register(offset)
        if register is None or register.access == "wo":
            return 0
        if register.on_read is not None:
            self.values[register] = register.on_read(self) & register.mask
        value = self.values[register]
        self.values[register] = value & ~register.read_to_clear
        return value >> 8 * (offset - register.offset) & (1 << 8 * width) - 1

    def write(self, offset: int, width: int, value: int) -> None:
        """Store to a register; where nothing can be stored nothing happens."""
        register = self.register(offset)
        if register is None or register.access == "ro":
            return
        shift = 8 * (offset - register.offset)
        lanes = ((1 << 8 * width) - 1) << shift & register.mask
        value = value << shift & lanes
        settable = register.writable & lanes
        old = self.values[register] & ~(value & register.write_one_to_clear)
        self.values[register] = old & ~settable | value & settable
        if register.on_write is not None:
            register.on_write(self, value)


class PlainBytes:
    """What stands behind a window without a model: memory that begins as zeros."""

    __slots__ = ("data",)

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)

    def read(self, offset: int, width: int) -> int:
        """Load a number, little endian."""
        return int.from_bytes(self.data[offset : offset + width], "little")

    def write(self, offset: int, width: int, value: int) -> None:
        """Store a number."""
        self.data[offset : offset + width] = value.to_bytes(width, "little")


@dataclass(slots=True, eq=False)
class Window:
    """Physical addresses that a device answers at."""

    base: int
    size: int
    model: Model
    present: bool = True
    """False once the device is pulled out: it answers nothing, and a load finds all ones on the bus."""
    powered: bool = True
    """False while the device has no power or clock: the same, but whoever turned it off should know."""

    @property
    def end(self) -> int:
        """Address behind the last byte."""
        return self.base + self.size

    @property
    def answers(self) -> bool:
        """Whether there is anybody."""
        return self.present and self.powered

    def pull(self) -> None:
        """Pull the device out: from now on stores are lost and loads give all ones."""
        self.present = False

    def power(self, on: bool) -> None:
        """Turn the device on or off."""
        self.powered = on

    def problem(self, offset: int, width: int, *, write: bool) -> Problem | None:
        """Say what is wrong with an access that the device lets pass, None if nothing is."""
        if offset % width:
            return Problem("mmio-unaligned-or-width", f"offset {offset:#x} is no multiple of the access' {width} bytes")
        if self.answers and isinstance(self.model, RegisterModel):
            return self.model.problem(offset, width, write=write)
        return None

    def read(self, offset: int, width: int) -> int:
        """Load from the device."""
        if not self.answers:
            return (1 << 8 * width) - 1
        return self.model.read(offset, width) & (1 << 8 * width) - 1

    def write(self, offset: int, width: int, value: int) -> None:
        """Store to the device."""
        if self.answers:
            self.model.write(offset, width, value & (1 << 8 * width) - 1)


class Bus:
    """Who answers at which physical address."""

    __slots__ = ("_windows",)

    def __init__(self) -> None:
        self._windows: SortedDict = SortedDict()

    def add(self, base: int, size: int, model: Model | None = None) -> Window:
        """Let a device answer at ``[base, base + size)``; ValueError where that can't be."""
        if base < 0 or size <= 0:
            raise ValueError(f"a window of {size} bytes at {base:#x} can't be")
        if model is not None and not isinstance(model, Model):
            raise ValueError(
                f"{type(model).__name__} is no model: it needs read(offset, width) and write(offset, width, value)"
            )
        other = self.overlapping(base, base + size)
        if other is not None:
            raise ValueError(f"{base:#x}-{base + size - 1:#x}: {other.base:#x}-{other.end - 1:#x} is another device's")
        window = self._windows[base] = Window(base, size, model or PlainBytes(size))
        return window

    def overlapping(self, start: int, end: int) -> Window | None:
        """Return the lowest device that answers anywhere in ``[start, end)``."""
        index = self._windows.bisect_right(start) - 1
        for at in (index, index + 1):
            if 0 <= at < len(self._windows):
                window: Window = self._windows.peekitem(at)[1]
                if window.base < end and start < window.end:
                    return window
        return None
