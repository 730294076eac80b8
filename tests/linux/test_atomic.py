"""Each operation of <linux/atomic.h> against arithmetic on plain numbers, in both widths."""

from __future__ import annotations

import pytest

from kmock.linux import atomic
from kmock.linux.atomic import atomic64_t, atomic_t

VALUES = (0, 1, -1, 5, 12, 0x7FFFFFFF, -(1 << 31), (1 << 63) - 1)


def signed(value: int, bits: int) -> int:
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


# What the counter becomes of its value and the operand, and what the call returns of the old value, the new one and the operand.
WITH_OPERAND = {
    "atomic_add atomic64_add": (lambda now, i: now + i, None),
    "atomic_sub atomic64_sub": (lambda now, i: now - i, None),
    "atomic_and atomic64_and": (lambda now, i: now & i, None),
    "atomic_or atomic64_or": (lambda now, i: now | i, None),
    "atomic_xor atomic64_xor": (lambda now, i: now ^ i, None),
    "atomic_add_return atomic64_add_return": (lambda now, i: now + i, lambda old, new: new),
    "atomic_sub_return atomic64_sub_return": (lambda now, i: now - i, lambda old, new: new),
    "atomic_fetch_add atomic64_fetch_add": (lambda now, i: now + i, lambda old, new: old),
    "atomic_fetch_sub atomic64_fetch_sub": (lambda now, i: now - i, lambda old, new: old),
    "atomic_add_negative atomic64_add_negative": (lambda now, i: now + i, lambda old, new: new < 0),
    "atomic_sub_and_test atomic64_sub_and_test": (lambda now, i: now - i, lambda old, new: new == 0),
}
ALONE = {
    "atomic_inc atomic64_inc": (lambda now: now + 1, None),
    "atomic_dec atomic64_dec": (lambda now: now - 1, None),
    "atomic_inc_return atomic64_inc_return": (lambda now: now + 1, lambda old, new: new),
    "atomic_dec_return atomic64_dec_return": (lambda now: now - 1, lambda old, new: new),
    "atomic_fetch_inc atomic64_fetch_inc": (lambda now: now + 1, lambda old, new: old),
    "atomic_fetch_dec atomic64_fetch_dec": (lambda now: now - 1, lambda old, new: old),
    "atomic_inc_and_test atomic64_inc_and_test": (lambda now: now + 1, lambda old, new: new == 0),
    "atomic_dec_and_test atomic64_dec_and_test": (lambda now: now - 1, lambda old, new: new == 0),
    "atomic_inc_not_zero atomic64_inc_not_zero": (lambda now: now + 1 if now else 0, lambda old, new: old != 0),
}


def forms(table):
    for names, (change, result) in table.items():
        narrow, wide = names.split()
        yield pytest.param(narrow, atomic_t, 32, change, result, id=narrow)
        yield pytest.param(wide, atomic64_t, 64, change, result, id=wide)


def reader(kind):
    return atomic.atomic_read if kind is atomic_t else atomic.atomic64_read


@pytest.mark.parametrize(("name", "kind", "bits", "change", "result"), list(forms(WITH_OPERAND)))
def test_an_operation_with_an_operand(kernel, name, kind, bits, change, result):
    for start in VALUES:
        for i in VALUES:
            now, operand = signed(start, bits), signed(i, bits)
            v = kind(now)
            returned = getattr(atomic, name)(operand, v)
            new = signed(change(now, operand), bits)
            assert reader(kind)(v) == new
            assert returned == (result(now, new) if result else None)


@pytest.mark.parametrize(("name", "kind", "bits", "change", "result"), list(forms(ALONE)))
def test_an_operation_alone(kernel, name, kind, bits, change, result):
    for start in VALUES:
        now = signed(start, bits)
        v = kind(now)
        returned = getattr(atomic, name)(v)
        new = signed(change(now), bits)
        assert reader(kind)(v) == new
        assert returned == (result(now, new) if result else None)


EXCHANGES = {
    "atomic_set atomic_xchg atomic_cmpxchg atomic_add_unless atomic_dec_if_positive": atomic_t,
    "atomic64_set atomic64_xchg atomic64_cmpxchg atomic64_add_unless atomic64_dec_if_positive": atomic64_t,
}


@pytest.mark.parametrize(("names", "kind"), EXCHANGES.items(), ids=["32", "64"])
def test_exchanging_and_what_depends_on_the_old_value(kernel, names, kind):
    set_, xchg, cmpxchg, add_unless, dec_if_positive = (getattr(atomic, name) for name in names.split())
    read = reader(kind)
    v = kind(3)
    set_(v, 4)
    assert xchg(v, 7) == 4
    assert (cmpxchg(v, 6, 1), read(v)) == (7, 7)
    assert (cmpxchg(v, 7, 1), read(v)) == (7, 1)
    assert (bool(add_unless(v, 5, 1)), read(v)) == (False, 1)
    assert (bool(add_unless(v, 5, 2)), read(v)) == (True, 6)
    set_(v, 1)
    assert (dec_if_positive(v), read(v)) == (0, 0)
    assert (dec_if_positive(v), read(v)) == (-1, 0)
