"""``<linux/atomic.h>``: integers that are changed in one step.

``atomic_t`` wraps at 32 bits, ``atomic64_t`` at 64. On this machine every step of Python's is atomic already;
what counts is what comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel.atomic import atomic64_t, atomic_t
from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel


def ATOMIC_INIT(i: int) -> atomic_t:
    """Define an atomic_t that starts at ``i``; may run before any kernel is booted."""
    return atomic_t(i)


def ATOMIC64_INIT(i: int) -> atomic64_t:
    """Define an atomic64_t that starts at ``i``."""
    return atomic64_t(i)


@api(since="1.0")
def atomic_read(k: Kernel, v: atomic_t) -> int:
    """The value."""
    return v.of(k).value


@api(since="1.0")
def atomic_set(k: Kernel, v: atomic_t, i: int) -> None:
    """Set the value."""
    v.of(k).set(i)


@api(since="1.0")
def atomic_add(k: Kernel, i: int, v: atomic_t) -> None:
    """Add ``i``."""
    v.of(k).add(i)


@api(since="2.6.0")
def atomic_add_return(k: Kernel, i: int, v: atomic_t) -> int:
    """Add ``i``: the new value."""
    return v.of(k).add(i)


@api(since="4.8")
def atomic_fetch_add(k: Kernel, i: int, v: atomic_t) -> int:
    """Add ``i``: the old value."""
    counter = v.of(k)
    old = counter.value
    counter.add(i)
    return old


@api(since="1.0")
def atomic_sub(k: Kernel, i: int, v: atomic_t) -> None:
    """Subtract ``i``."""
    v.of(k).add(-i)


@api(since="2.6.0")
def atomic_sub_return(k: Kernel, i: int, v: atomic_t) -> int:
    """Subtract ``i``: the new value."""
    return v.of(k).add(-i)


@api(since="4.8")
def atomic_fetch_sub(k: Kernel, i: int, v: atomic_t) -> int:
    """Subtract ``i``: the old value."""
    counter = v.of(k)
    old = counter.value
    counter.add(-i)
    return old


@api(since="1.0")
def atomic_inc(k: Kernel, v: atomic_t) -> None:
    """One more."""
    v.of(k).add(1)


@api(since="2.6.0")
def atomic_inc_return(k: Kernel, v: atomic_t) -> int:
    """One more: the new value."""
    return v.of(k).add(1)


@api(since="4.8")
def atomic_fetch_inc(k: Kernel, v: atomic_t) -> int:
    """One more: the old value."""
    counter = v.of(k)
    old = counter.value
    counter.add(1)
    return old


@api(since="1.0")
def atomic_inc_and_test(k: Kernel, v: atomic_t) -> bool:
    """One more: whether that makes 0."""
    return v.of(k).add(1) == 0


@api(since="1.0")
def atomic_dec(k: Kernel, v: atomic_t) -> None:
    """One less."""
    v.of(k).add(-1)


@api(since="2.6.0")
def atomic_dec_return(k: Kernel, v: atomic_t) -> int:
    """One less: the new value."""
    return v.of(k).add(-1)


@api(since="4.8")
def atomic_fetch_dec(k: Kernel, v: atomic_t) -> int:
    """One less: the old value."""
    counter = v.of(k)
    old = counter.value
    counter.add(-1)
    return old


@api(since="1.0")
def atomic_dec_and_test(k: Kernel, v: atomic_t) -> bool:
    """One less: whether that makes 0."""
    return v.of(k).add(-1) == 0


@api(since="1.0")
def atomic_sub_and_test(k: Kernel, i: int, v: atomic_t) -> bool:
    """Subtract ``i``: whether that makes 0."""
    return v.of(k).add(-i) == 0


@api(since="1.0")
def atomic_add_negative(k: Kernel, i: int, v: atomic_t) -> bool:
    """Add ``i``: whether that is negative."""
    return v.of(k).add(i) < 0


@api(since="2.6.15")
def atomic_xchg(k: Kernel, v: atomic_t, new: int) -> int:
    """Set the value: the old one."""
    counter = v.of(k)
    old = counter.value
    counter.set(new)
    return old


@api(since="2.6.15")
def atomic_cmpxchg(k: Kernel, v: atomic_t, old: int, new: int) -> int:
    """Set the value if it is ``old``: what it was."""
    counter = v.of(k)
    was = counter.value
    if was == old:
        counter.set(new)
    return was


@api(since="2.6.15")
def atomic_add_unless(k: Kernel, v: atomic_t, a: int, u: int) -> bool:
    """Add ``a`` unless the value is ``u``: whether."""
    return v.of(k).add_unless(a, u)


@api(since="2.6.15")
def atomic_inc_not_zero(k: Kernel, v: atomic_t) -> bool:
    """One more, unless it is 0: whether."""
    return v.of(k).add_unless(1, 0)


@api(since="2.6.33")
def atomic_dec_if_positive(k: Kernel, v: atomic_t) -> int:
    """One less, if it is positive: the value less one anyway."""
    counter = v.of(k)
    less = counter.value - 1
    if less >= 0:
        counter.set(less)
    return less


@api(since="4.3")
def atomic_or(k: Kernel, i: int, v: atomic_t) -> None:
    """The value |= ``i``."""
    counter = v.of(k)
    counter.set(counter.value | i)


@api(since="4.3")
def atomic_and(k: Kernel, i: int, v: atomic_t) -> None:
    """The value &= ``i``."""
    counter = v.of(k)
    counter.set(counter.value & i)


@api(since="4.3")
def atomic_xor(k: Kernel, i: int, v: atomic_t) -> None:
    """The value ^= ``i``."""
    counter = v.of(k)
    counter.set(counter.value ^ i)


@api(since="2.6.31")
def atomic64_read(k: Kernel, v: atomic64_t) -> int:
    """The value."""
    return v.of(k).value


@api(since="2.6.31")
def atomic64_set(k: Kernel, v: atomic64_t, i: int) -> None:
    """Set the value."""
    v.of(k).set(i)


@api(since="2.6.31")
def atomic64_add(k: Kernel, i: int, v: atomic64_t) -> None:
    """Add ``i``."""
    v.of(k).add(i)


@api(since="2.6.0")
def atomic64_add_return(k: Kernel, i: int, v: atomic64_t) -> int:
    """Add ``i``: the new value."""
    return v.of(k).add(i)


@api(since="4.8")
def atomic64_fetch_add(k: Kernel, i: int, v: atomic64_t) -> int:
    """Add ``i``: the old value."""
    counter = v.of(k)
    old = counter.value
    counter.add(i)
    return old


@api(since="2.6.31")
def atomic64_sub(k: Kernel, i: int, v: atomic64_t) -> None:
    """Subtract ``i``."""
    v.of(k).add(-i)


@api(since="2.6.0")
def atomic64_sub_return(k: Kernel, i: int, v: atomic64_t) -> int:
    """Subtract ``i``: the new value."""
    return v.of(k).add(-i)


@api(since="4.8")
def atomic64_fetch_sub(k: Kernel, i: int, v: atomic64_t) -> int:
    """Subtract ``i``: the old value."""
    counter = v.of(k)
    old = counter.value
    counter.add(-i)
    return old


@api(since="2.6.31")
def atomic64_inc(k: Kernel, v: atomic64_t) -> None:
    """One more."""
    v.of(k).add(1)


@api(since="2.6.0")
def atomic64_inc_return(k: Kernel, v: atomic64_t) -> int:
    """One more: the new value."""
    return v.of(k).add(1)


@api(since="4.8")
def atomic64_fetch_inc(k: Kernel, v: atomic64_t) -> int:
    """One more: the old value."""
    counter = v.of(k)
    old = counter.value
    counter.add(1)
    return old


@api(since="2.6.31")
def atomic64_inc_and_test(k: Kernel, v: atomic64_t) -> bool:
    """One more: whether that makes 0."""
    return v.of(k).add(1) == 0


@api(since="2.6.31")
def atomic64_dec(k: Kernel, v: atomic64_t) -> None:
    """One less."""
    v.of(k).add(-1)


@api(since="2.6.0")
def atomic64_dec_return(k: Kernel, v: atomic64_t) -> int:
    """One less: the new value."""
    return v.of(k).add(-1)


@api(since="4.8")
def atomic64_fetch_dec(k: Kernel, v: atomic64_t) -> int:
    """One less: the old value."""
    counter = v.of(k)
    old = counter.value
    counter.add(-1)
    return old


@api(since="2.6.31")
def atomic64_dec_and_test(k: Kernel, v: atomic64_t) -> bool:
    """One less: whether that makes 0."""
    return v.of(k).add(-1) == 0


@api(since="2.6.31")
def atomic64_sub_and_test(k: Kernel, i: int, v: atomic64_t) -> bool:
    """Subtract ``i``: whether that makes 0."""
    return v.of(k).add(-i) == 0


@api(since="2.6.31")
def atomic64_add_negative(k: Kernel, i: int, v: atomic64_t) -> bool:
    """Add ``i``: whether that is negative."""
    return v.of(k).add(i) < 0


@api(since="2.6.15")
def atomic64_xchg(k: Kernel, v: atomic64_t, new: int) -> int:
    """Set the value: the old one."""
    counter = v.of(k)
    old = counter.value
    counter.set(new)
    return old


@api(since="2.6.15")
def atomic64_cmpxchg(k: Kernel, v: atomic64_t, old: int, new: int) -> int:
    """Set the value if it is ``old``: what it was."""
    counter = v.of(k)
    was = counter.value
    if was == old:
        counter.set(new)
    return was


@api(since="2.6.15")
def atomic64_add_unless(k: Kernel, v: atomic64_t, a: int, u: int) -> bool:
    """Add ``a`` unless the value is ``u``: whether."""
    return v.of(k).add_unless(a, u)


@api(since="2.6.15")
def atomic64_inc_not_zero(k: Kernel, v: atomic64_t) -> bool:
    """One more, unless it is 0: whether."""
    return v.of(k).add_unless(1, 0)


@api(since="2.6.33")
def atomic64_dec_if_positive(k: Kernel, v: atomic64_t) -> int:
    """One less, if it is positive: the value less one anyway."""
    counter = v.of(k)
    less = counter.value - 1
    if less >= 0:
        counter.set(less)
    return less


@api(since="4.3")
def atomic64_or(k: Kernel, i: int, v: atomic64_t) -> None:
    """The value |= ``i``."""
    counter = v.of(k)
    counter.set(counter.value | i)


@api(since="4.3")
def atomic64_and(k: Kernel, i: int, v: atomic64_t) -> None:
    """The value &= ``i``."""
    counter = v.of(k)
    counter.set(counter.value & i)


@api(since="4.3")
def atomic64_xor(k: Kernel, i: int, v: atomic64_t) -> None:
    """The value ^= ``i``."""
    counter = v.of(k)
    counter.set(counter.value ^ i)


__getattr__ = header_getattr(__name__)
__all__ = [
    "ATOMIC64_INIT",
    "ATOMIC_INIT",
    "atomic64_add",
    "atomic64_add_negative",
    "atomic64_add_return",
    "atomic64_add_unless",
    "atomic64_and",
    "atomic64_cmpxchg",
    "atomic64_dec",
    "atomic64_dec_and_test",
    "atomic64_dec_if_positive",
    "atomic64_dec_return",
    "atomic64_fetch_add",
    "atomic64_fetch_dec",
    "atomic64_fetch_inc",
    "atomic64_fetch_sub",
    "atomic64_inc",
    "atomic64_inc_and_test",
    "atomic64_inc_not_zero",
    "atomic64_inc_return",
    "atomic64_or",
    "atomic64_read",
    "atomic64_set",
    "atomic64_sub",
    "atomic64_sub_and_test",
    "atomic64_sub_return",
    "atomic64_t",
    "atomic64_xchg",
    "atomic64_xor",
    "atomic_add",
    "atomic_add_negative",
    "atomic_add_return",
    "atomic_add_unless",
    "atomic_and",
    "atomic_cmpxchg",
    "atomic_dec",
    "atomic_dec_and_test",
    "atomic_dec_if_positive",
    "atomic_dec_return",
    "atomic_fetch_add",
    "atomic_fetch_dec",
    "atomic_fetch_inc",
    "atomic_fetch_sub",
    "atomic_inc",
    "atomic_inc_and_test",
    "atomic_inc_not_zero",
    "atomic_inc_return",
    "atomic_or",
    "atomic_read",
    "atomic_set",
    "atomic_sub",
    "atomic_sub_and_test",
    "atomic_sub_return",
    "atomic_t",
    "atomic_xchg",
    "atomic_xor",
]
