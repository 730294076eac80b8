"""lock_page() and its kin."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.kthread import kthread_run
from kmock.linux.mm import PageLocked
from kmock.linux.pagemap import lock_page, trylock_page, unlock_page


@pytest.fixture
def k():
    with kmock.boot() as machine:
        yield machine


def test_the_lock_is_taken_once(k):
    page = alloc_page(GFP_KERNEL)
    assert trylock_page(page)
    assert not trylock_page(page)
    assert PageLocked(page)
    unlock_page(page)
    assert not PageLocked(page)
    __free_page(page)
    assert not k.reports


def test_a_waiter_gets_the_lock_when_it_is_free(k):
    page = alloc_page(GFP_KERNEL)
    order = []

    def other(data):
        lock_page(page)
        order.append("other")
        unlock_page(page)
        return 0

    lock_page(page)
    kthread_run(other, None, "other")
    k.run()
    order.append("test")
    unlock_page(page)
    k.run()
    assert order == ["test", "other"]
    __free_page(page)
    assert not k.reports


def test_locking_twice_hangs(k):
    page = alloc_page(GFP_KERNEL)
    lock_page(page)
    with pytest.raises(kmock.Deadlock):
        lock_page(page)
    unlock_page(page)
    __free_page(page)
    assert [r.kind for r in k.reports] == ["hang"]


def test_unlocking_an_unlocked_page_is_a_bug(k):
    page = alloc_page(GFP_KERNEL)
    with pytest.raises(kmock.KernelOops):
        unlock_page(page)
    assert "VM_BUG_ON_FOLIO(!folio_test_locked(folio))" in k.dmesg()
    assert [r.kind for r in k.reports] == ["pgcache-unlock-unlocked"]
    __free_page(page)
