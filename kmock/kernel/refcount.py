"""``refcount_t`` (``lib/refcount.c``): a counter that sticks when it is misused, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel.held import PerKernel
from kmock.sanitizers import refcount as _say
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel
    from kmock.stack import Stack

INT_MAX = 0x7FFF_FFFF
REFCOUNT_SATURATED = -0x4000_0000


class Counter:
    """The value of a counter in one kernel."""

    __slots__ = ("taken", "value")

    def __init__(self, value: int) -> None:
        self.value = value
        self.taken: Stack = ()
        """Where a reference was last taken, beside the first."""


class refcount_t(PerKernel[Counter]):
    """A reference count; ``refcount_set()`` gives it its first value, ``refcount_t(1)`` stands for REFCOUNT_INIT(1)."""

    __slots__ = ("initial",)
    C_SIZE = 4

    def __init__(self, n: int = 0) -> None:
        super().__init__()
        self.initial = n

    def fresh(self) -> Counter:
        """Starts at what it was defined with."""
        return Counter(self.initial)

    def reference_left(self, k: Kernel) -> Stack:
        """Where the last reference was taken, if some are left; empty if none is."""
        counter = self.of(k)
        return counter.taken if counter.value > 0 else ()


class kref:
    """``struct kref``: a refcount_t and the function that releases what it counts."""

    __slots__ = ("__weakref__", "refcount")
    C_SIZE = 4

    def __init__(self, n: int = 0) -> None:
        self.refcount = refcount_t(n)

    def reference_left(self, k: Kernel) -> Stack:
        """Where the last reference was taken, if some are left; empty if none is."""
        return self.refcount.reference_left(k)


def saturate(k: Kernel, r: refcount_t, problem: str) -> None:
    """``refcount_warn_saturate()``."""
    r.of(k).value = REFCOUNT_SATURATED
    _say.warn(k, r, problem)


def add(k: Kernel, i: int, r: refcount_t) -> None:
    """``refcount_add()``."""
    counter = r.of(k)
    old = counter.value
    counter.value = wrap(old + i)
    counter.taken = capture(2)
    if not old:
        saturate(k, r, "add-uaf")
    elif old < 0 or old + i > INT_MAX:
        saturate(k, r, "add-ovf")


def add_not_zero(k: Kernel, i: int, r: refcount_t) -> bool:
    """``refcount_add_not_zero()``."""
    counter = r.of(k)
    old = counter.value
    if not old:
        return False
    counter.value = wrap(old + i)
    counter.taken = capture(2)
    if old < 0 or old + i > INT_MAX:
        saturate(k, r, "add-not-zero-ovf")
    return True


def sub_and_test(k: Kernel, i: int, r: refcount_t) -> bool:
    """``refcount_sub_and_test()``."""
    counter = r.of(k)
    old = counter.value
    counter.value = wrap(old - i)
    if old == i:
        return True
    if old < 0 or old - i < 0:
        saturate(k, r, "sub-uaf")
    return False


def dec(k: Kernel, r: refcount_t) -> None:
    """``refcount_dec()``."""
    counter = r.of(k)
    old = counter.value
    counter.value = wrap(old - 1)
    if old <= 1:
        saturate(k, r, "dec-leak")


def dec_not_one(k: Kernel, r: refcount_t) -> bool:
    """``refcount_dec_not_one()``: True unless it is 1."""
    counter = r.of(k)
    if counter.value == REFCOUNT_SATURATED:
        return True
    if counter.value == 1:
        return False
    if counter.value <= 0:
        _say.warn(k, r, "dec-not-one")
        return True
    counter.value -= 1
    return True


def dec_if_one(k: Kernel, r: refcount_t) -> bool:
    """``refcount_dec_if_one()``."""
    counter = r.of(k)
    if counter.value != 1:
        return False
    counter.value = 0
    return True


def wrap(value: int) -> int:
    """``value`` as C's int."""
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value > INT_MAX else value


def put(k: Kernel, ref: kref, release: Callable[[Any], object]) -> int:
    """``kref_put()``: 1 if that was the last one, and ``release`` was called."""
    if sub_and_test(k, 1, ref.refcount):
        release(ref)
        return 1
    return 0
