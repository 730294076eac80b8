"""``atomic_t`` and ``atomic64_t`` (``include/linux/atomic.h``)."""

from __future__ import annotations

from typing import ClassVar

from kmock.kernel.held import PerKernel


class Value:
    """An integer of so many bits in one kernel."""

    __slots__ = ("bits", "value")

    def __init__(self, value: int, bits: int) -> None:
        self.bits = bits
        self.set(value)

    def set(self, value: int) -> None:
        """Set it, wrapped as C's signed type does."""
        value &= (1 << self.bits) - 1
        self.value = value - (1 << self.bits) if value >> self.bits - 1 else value

    def add(self, i: int) -> int:
        """Add ``i``; return the new value."""
        self.set(self.value + i)
        return self.value

    def add_unless(self, i: int, unless: int) -> bool:
        """Add ``i`` unless the value is ``unless``; return whether."""
        if self.value == unless:
            return False
        self.add(i)
        return True


class atomic_t(PerKernel[Value]):
    """A 32-bit integer; ``atomic_set()`` gives it a value, ``atomic_t(1)`` stands for ATOMIC_INIT(1)."""

    __slots__ = ("initial",)
    C_SIZE: ClassVar[int] = 4
    BITS: ClassVar[int] = 32

    def __init__(self, i: int = 0) -> None:
        super().__init__()
        self.initial = i

    def fresh(self) -> Value:
        """Starts at what it was defined with."""
        return Value(self.initial, self.BITS)


class atomic64_t(atomic_t):
    """A 64-bit integer."""

    __slots__ = ()
    C_SIZE: ClassVar[int] = 8
    BITS: ClassVar[int] = 64
