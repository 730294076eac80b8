"""Members that a lock guards: by declaration, or learnt from how they are used."""

from __future__ import annotations

from typing import Annotated

import pytest

import kmock
from kmock.linux.mutex import DEFINE_MUTEX, mutex, mutex_init, mutex_lock, mutex_unlock
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import spin_lock, spin_lock_init, spin_lock_irq, spin_unlock, spin_unlock_irq, spinlock_t
from kmock.linux.types import Ptr, Struct, guarded_by, offsetof, sizeof, u32

KIND = "lock-unprotected-field"


class declared(Struct):
    lock: mutex
    count: Annotated[u32, guarded_by("lock")]
    id: u32


class plain(Struct):
    id: u32
    lock: spinlock_t
    count: u32
    next: Ptr


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


@pytest.fixture
def lint():
    with kmock.boot(lint=True) as kernel:
        yield kernel


def new(cls, init):
    dev = cls.at(kzalloc(sizeof(cls), GFP_KERNEL))
    dev.count = 0
    init(dev.lock)
    return dev


class TestDeclared:
    def test_every_access_needs_the_lock(self, k):
        dev = new(declared, mutex_init)
        mutex_lock(dev.lock)
        dev.count = 5
        assert dev.count == 5
        mutex_unlock(dev.lock)
        with k.expect(KIND) as found:
            dev.count += 1
        assert "declared.count" in found[0].lines[0]
        dev.id = 3
        kfree(dev)

    def test_another_lock_does_not_do(self, k):
        dev, other = new(declared, mutex_init), DEFINE_MUTEX("other")
        mutex_lock(other)
        with k.expect(KIND):
            assert dev.count == 0
        mutex_unlock(other)
        kfree(dev)

    def test_the_lock_of_another_object_does_not_do(self, k):
        one, two = new(declared, mutex_init), new(declared, mutex_init)
        mutex_lock(one.lock)
        with k.expect(KIND):
            two.count = 1
        mutex_unlock(one.lock)
        kfree(one)
        kfree(two)

    def test_it_lies_where_it_would(self):
        assert (offsetof(declared, "count"), sizeof(declared)) == (32, 40)


def use(k, dev, times=5):
    for _ in range(times):
        with k.hardirq():
            spin_lock(dev.lock)
            dev.count += 1
            spin_unlock(dev.lock)
        spin_lock_irq(dev.lock)
        dev.count -= 1
        spin_unlock_irq(dev.lock)


class TestLearnt:
    def test_an_access_between_those_of_others(self, lint):
        dev = new(plain, spin_lock_init)
        use(lint, dev)
        dev.count = 9
        with lint.expect(KIND, count=1) as found:
            use(lint, dev)
        assert found[0].where.function == "test_an_access_between_those_of_others"
        kfree(dev)

    def test_before_and_after_is_nobody_else(self, lint):
        dev = new(plain, spin_lock_init)
        dev.count = 3
        use(lint, dev)
        assert dev.count == 3
        kfree(dev)
        assert lint.reports == []

    def test_one_task_alone(self, lint):
        dev = new(plain, spin_lock_init)
        for _ in range(20):
            spin_lock(dev.lock)
            dev.count += 1
            spin_unlock(dev.lock)
            dev.count += 1
        kfree(dev)
        assert lint.reports == []

    def test_under_another_lock(self, lint):
        dev, other = new(plain, spin_lock_init), DEFINE_MUTEX("other")
        use(lint, dev)
        mutex_lock(other)
        dev.count = 3
        mutex_unlock(other)
        use(lint, dev)
        kfree(dev)
        assert lint.reports == []

    def test_only_where_lints_are_wanted(self, k):
        dev = new(plain, spin_lock_init)
        use(k, dev)
        dev.count = 9
        use(k, dev)
        kfree(dev)
