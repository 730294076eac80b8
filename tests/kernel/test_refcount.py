"""refcount_t and kref: what they count, and where they stick."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.kref import KREF_INIT, kref_get, kref_get_unless_zero, kref_init, kref_put, kref_read
from kmock.linux.refcount import (
    REFCOUNT_INIT,
    refcount_add,
    refcount_add_not_zero,
    refcount_dec,
    refcount_dec_and_test,
    refcount_dec_if_one,
    refcount_dec_not_one,
    refcount_inc,
    refcount_inc_not_zero,
    refcount_read,
    refcount_set,
    refcount_sub_and_test,
)

SATURATED = 0xC000_0000


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


class TestCounting:
    def test_up_and_down(self, k):
        users = REFCOUNT_INIT(1)
        refcount_inc(users)
        refcount_add(3, users)
        assert refcount_read(users) == 5
        assert not refcount_sub_and_test(4, users)
        assert refcount_dec_and_test(users)
        assert refcount_read(users) == 0

    def test_only_the_living_are_got(self, k):
        users = REFCOUNT_INIT(0)
        assert not refcount_inc_not_zero(users)
        assert not refcount_add_not_zero(2, users)
        refcount_set(users, 1)
        assert refcount_inc_not_zero(users)
        assert refcount_read(users) == 2

    def test_the_last_one_apart(self, k):
        users = REFCOUNT_INIT(2)
        assert not refcount_dec_if_one(users)
        assert refcount_dec_not_one(users)
        assert not refcount_dec_not_one(users)
        assert refcount_dec_if_one(users)
        assert refcount_read(users) == 0

    def test_every_kernel_has_its_own_count(self):
        users = REFCOUNT_INIT(1)
        for _ in range(2):
            with kmock.boot():
                refcount_inc(users)
                assert refcount_read(users) == 2


class TestSticking:
    @pytest.mark.parametrize(
        ("start", "misuse", "kind", "message"),
        [
            (0, refcount_inc, "refcount-inc-from-zero", "addition on 0; use-after-free"),
            (0, refcount_dec_and_test, "refcount-underflow", "underflow; use-after-free"),
            (1, refcount_dec, "refcount-underflow", "decrement hit 0; leaking memory"),
            (0x7FFF_FFFF, refcount_inc, "refcount-saturated", "saturated; leaking memory"),
        ],
    )
    def test_misuse_saturates(self, k, start, misuse, kind, message):
        users = REFCOUNT_INIT(start)
        with k.expect(kind, count=1) as found:
            misuse(users)
        assert found[0].headline == f"refcount_t: {message}."
        assert refcount_read(users) == SATURATED

    def test_what_is_saturated_stays(self, k):
        users = REFCOUNT_INIT(0)
        with k.expect("refcount-*"):
            refcount_inc(users)
        assert not refcount_dec_and_test(users)
        assert refcount_read(users) == SATURATED

    def test_another_counter_is_another_mistake(self, k):
        for _ in range(2):
            refcount_inc(REFCOUNT_INIT(0))
        assert [report.kind for report in k.reports] == ["refcount-inc-from-zero"] * 2


class TestKref:
    def test_the_last_put_releases(self, k):
        released = []
        ref = KREF_INIT(1)
        kref_get(ref)
        assert not kref_put(ref, released.append)
        assert kref_put(ref, released.append)
        assert released == [ref]
        assert not kref_get_unless_zero(ref)

    def test_init_is_the_first_reference(self, k):
        ref = KREF_INIT(0)
        kref_init(ref)
        assert kref_read(ref) == 1
