"""Bits and bitmaps in simulated memory, against Python's numbers."""

from __future__ import annotations

import random

import pytest

from kmock.linux import bitops
from kmock.linux.bitmap import (
    bitmap_alloc,
    bitmap_clear,
    bitmap_empty,
    bitmap_fill,
    bitmap_find_next_zero_area,
    bitmap_free,
    bitmap_full,
    bitmap_set,
    bitmap_weight,
    bitmap_zalloc,
    bitmap_zero,
)
from kmock.linux.bitops import (
    __ffs,
    clear_bit_unlock,
    ffs,
    find_first_bit,
    find_first_zero_bit,
    find_next_bit,
    find_next_zero_bit,
    fls,
    fls64,
    for_each_set_bit,
    hweight32,
    hweight64,
    hweight_long,
    test_and_set_bit_lock,
    test_bit,
)
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kzalloc
from kmock.linux.types import Struct, addressof, sizeof, u64

for function in (test_bit, test_and_set_bit_lock):
    function.__test__ = False  # no tests of pytest's

BITS = 130
CHANGES = {
    "set_bit __set_bit": lambda was: 1,
    "clear_bit __clear_bit": lambda was: 0,
    "change_bit __change_bit": lambda was: 1 - was,
    "test_and_set_bit __test_and_set_bit": lambda was: 1,
    "test_and_clear_bit __test_and_clear_bit": lambda was: 0,
    "test_and_change_bit __test_and_change_bit": lambda was: 1 - was,
}


@pytest.fixture
def words(kernel):
    p = bitmap_zalloc(BITS, GFP_KERNEL)
    yield p
    bitmap_free(p)


@pytest.mark.parametrize(
    ("names", "becomes"), CHANGES.items(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_changing_a_bit_touches_no_other(words, names, becomes):
    dice, model = random.Random(1), [0] * BITS
    for name in names.split():
        for _ in range(60):
            nr = dice.randrange(BITS)
            was, model[nr] = model[nr], becomes(model[nr])
            returned = getattr(bitops, name)(nr, words)
            assert returned == (was if "test_and" in name else None)
            assert [test_bit(n, words) for n in range(BITS)] == model


def test_a_bit_as_a_lock(words):
    assert test_and_set_bit_lock(7, words) == 0
    assert test_and_set_bit_lock(7, words) == 1
    clear_bit_unlock(7, words)
    assert test_bit(7, words) == 0


def test_words_in_a_struct(kernel):
    class device(Struct):
        before: u64
        flags: u64 * 2
        after: u64

    dev = device.at(kzalloc(sizeof(device), GFP_KERNEL))
    bitops.set_bit(65, dev.flags)
    assert (dev.before, list(dev.flags), dev.after) == (0, [0, 2], 0)
    kfree(addressof(dev))


def test_a_bit_behind_the_words_is_an_overrun(kernel, words):
    with kernel.expect("slab-*"):
        bitops.set_bit(192, words)


def test_searching(words):
    assert find_first_bit(words, BITS) == BITS
    assert find_first_zero_bit(words, BITS) == 0
    for nr in (0, 1, 64, 129):
        bitops.set_bit(nr, words)
    assert find_first_bit(words, BITS) == 0
    assert find_first_zero_bit(words, BITS) == 2
    assert [find_next_bit(words, BITS, offset) for offset in (0, 1, 2, 65, 130)] == [0, 1, 64, 129, BITS]
    assert find_next_zero_bit(words, BITS, 64) == 65
    assert list(for_each_set_bit(words, BITS)) == [0, 1, 64, 129]


def test_maps(kernel):
    p = bitmap_alloc(BITS, GFP_KERNEL)
    bitmap_zero(p, BITS)
    assert bitmap_empty(p, BITS)
    bitmap_set(p, 60, 10)
    assert (bitmap_weight(p, BITS), find_first_bit(p, BITS), bitmap_empty(p, BITS)) == (10, 60, False)
    assert bitmap_find_next_zero_area(p, BITS, 55, 8, 0) == 70
    assert bitmap_find_next_zero_area(p, BITS, 55, 8, 15) == 80
    assert bitmap_find_next_zero_area(p, BITS, 0, 100, 0) > BITS
    bitmap_clear(p, 62, 100)
    assert bitmap_weight(p, BITS) == 2
    bitmap_fill(p, BITS)
    assert bitmap_full(p, BITS)
    bitmap_free(p)


def test_numbers():
    assert [ffs(x) for x in (0, 1, 8)] == [0, 1, 4]
    assert [fls(x) for x in (0, 1, 0x8000_0000)] == [0, 1, 32]
    assert fls64(1 << 63) == 64
    assert __ffs(8) == 3
    assert (hweight32(0xF0F), hweight64(1 << 40 | 1), hweight_long(7)) == (8, 2, 3)
