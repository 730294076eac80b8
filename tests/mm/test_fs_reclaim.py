"""Locks that reclaim takes, and who holds them while asking for memory."""

from __future__ import annotations

import pytest

import kmock
from kmock.errors import Deadlock
from kmock.linux.gfp import (
    __GFP_NOLOCKDEP,
    GFP_ATOMIC,
    GFP_KERNEL,
    GFP_NOFS,
    GFP_NOIO,
    __free_page,
    alloc_page,
)
from kmock.linux.lockdep import lockdep_off, lockdep_on
from kmock.linux.mutex import DEFINE_MUTEX, mutex, mutex_init, mutex_lock, mutex_trylock, mutex_unlock
from kmock.linux.rwsem import DECLARE_RWSEM, down_read, up_read
from kmock.linux.sched.mm import (
    fs_reclaim_acquire,
    fs_reclaim_release,
    memalloc_nofs_restore,
    memalloc_nofs_save,
    memalloc_noreclaim_restore,
    memalloc_noreclaim_save,
    might_alloc,
)
from kmock.linux.shrinker import register_shrinker, shrinker, unregister_shrinker
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.vmalloc import vfree, vmalloc

NO_LOCKDEP = GFP_KERNEL | __GFP_NOLOCKDEP


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


@pytest.fixture
def lock():
    return DEFINE_MUTEX("lock")


def reclaim(k, what):
    """Have reclaim call ``what`` once, as a shrinker."""
    one = shrinker(count_objects=lambda _, __: 1, scan_objects=lambda _, __: what() or 0)
    register_shrinker(one, "one")
    k.write_file("/proc/sys/vm/drop_caches", "2")
    unregister_shrinker(one)


def take(lock):
    mutex_lock(lock)
    mutex_unlock(lock)


def allocate(gfp=GFP_KERNEL):
    kfree(kmalloc(64, gfp))


def allocate_page(gfp=GFP_KERNEL):
    __free_page(alloc_page(gfp))


def allocate_under(lock, gfp=GFP_KERNEL):
    mutex_lock(lock)
    allocate(gfp)
    mutex_unlock(lock)


class TestBothOrders:
    def test_the_shrinker_ran_first(self, k, lock):
        reclaim(k, lambda: take(lock))
        with k.expect("lock-held-across-reclaim", count=1) as found:
            allocate_under(lock)
        assert found[0].headline == "WARNING: possible circular locking dependency detected"
        assert found[0].where.function == "allocate"
        lines = "\n".join(found[0].lines)
        assert "is trying to acquire lock:\nffff" in lines
        assert "(fs_reclaim){+.+.}-{0:0}, at: allocate+0x" in lines
        assert "  lock(lock);\n                               lock(fs_reclaim);" in lines

    def test_the_allocation_came_first(self, k, lock):
        allocate_under(lock)
        with k.expect("lock-held-across-reclaim", count=1) as found:
            reclaim(k, lambda: take(lock))
        assert found[0].where.function == "take"
        assert "  lock(fs_reclaim);\n                               lock(lock);" in "\n".join(found[0].lines)

    @pytest.mark.parametrize("call", [allocate_page, lambda: vfree(vmalloc(9000))])
    def test_one_call_is_told_of_once(self, k, lock, call):
        reclaim(k, lambda: take(lock))
        mutex_lock(lock)
        with k.expect("lock-held-across-reclaim", count=1):
            call()
        mutex_unlock(lock)

    def test_another_place_follows_from_the_first(self, k, lock):
        reclaim(k, lambda: take(lock))
        with k.expect("lock-held-across-reclaim", count=1) as found:
            allocate_under(lock)
        mutex_lock(lock)
        might_alloc(GFP_KERNEL)
        mutex_unlock(lock)
        assert len(found[0].followed_by) == 1

    def test_a_reader_waits_too(self, k):
        sem = DECLARE_RWSEM("sem")

        def read():
            down_read(sem)
            up_read(sem)

        reclaim(k, read)
        down_read(sem)
        with k.expect("lock-held-across-reclaim"):
            allocate()
        up_read(sem)

    def test_locks_of_one_class_are_one(self, k):
        first, second = mutex(), mutex()
        for one in (first, second):
            mutex_init(one)
        reclaim(k, lambda: take(first))
        with k.expect("lock-held-across-reclaim"):
            allocate_under(second)

    def test_the_task_that_holds_the_lock_reclaims(self, lock):
        with kmock.boot(machine="tiny") as k:
            one = shrinker(count_objects=lambda _, __: 1000, scan_objects=lambda _, __: take(lock) or 0)
            register_shrinker(one, "one")
            mutex_lock(lock)
            with k.expect("lock-held-across-reclaim", count=1), pytest.raises(Deadlock):
                while alloc_page(GFP_KERNEL):
                    pass
            assert {r.kind for r in k.reports} == {"lock-held-across-reclaim"}
            k.halt()


class TestWhatIsRight:
    @pytest.mark.parametrize("gfp", [GFP_NOFS, GFP_NOIO, GFP_ATOMIC, NO_LOCKDEP])
    def test_flags_that_do_not_enter_the_file_systems(self, k, lock, gfp):
        reclaim(k, lambda: take(lock))
        mutex_lock(lock)
        allocate_page(gfp)
        mutex_unlock(lock)
        assert k.reports == []

    @pytest.mark.parametrize(
        ("save", "restore"),
        [(memalloc_nofs_save, memalloc_nofs_restore), (memalloc_noreclaim_save, memalloc_noreclaim_restore)],
    )
    def test_scopes(self, k, lock, save, restore):
        reclaim(k, lambda: take(lock))
        mutex_lock(lock)
        saved = save()
        allocate()
        restore(saved)
        mutex_unlock(lock)
        assert k.reports == []

    def test_a_shrinker_that_only_tries(self, k, lock):
        def attempt():
            assert mutex_trylock(lock)
            mutex_unlock(lock)

        reclaim(k, attempt)
        allocate_under(lock)
        assert k.reports == []

    def test_another_lock(self, k, lock):
        reclaim(k, lambda: take(lock))
        allocate_under(DEFINE_MUTEX("other"))
        take(lock)
        allocate()
        assert k.reports == []

    def test_spin_locks_have_their_own_report(self, k):
        spin = DEFINE_SPINLOCK("spin")
        spin_lock(spin)
        with k.expect("alloc-gfp-kernel-under-spinlock"):
            allocate()
        spin_unlock(spin)

        def spin_once():
            spin_lock(spin)
            spin_unlock(spin)

        reclaim(k, spin_once)
        assert not [r for r in k.reports if r.kind != "alloc-gfp-kernel-under-spinlock"]

    def test_an_interrupt_holds_none_of_the_locks(self, k, lock):
        reclaim(k, lambda: take(lock))
        mutex_lock(lock)
        with k.hardirq(), k.expect("alloc-gfp-kernel-in-hardirq"):
            allocate()
        mutex_unlock(lock)
        assert not [r for r in k.reports if r.kind != "alloc-gfp-kernel-in-hardirq"]

    def test_where_lockdep_looks_away(self, k, lock):
        reclaim(k, lambda: take(lock))
        lockdep_off()
        allocate_under(lock)
        lockdep_on()
        assert k.reports == []

    def test_a_kernel_without_lockdep(self, lock):
        with kmock.boot(lockdep=False) as k:
            reclaim(k, lambda: take(lock))
            allocate_under(lock)
            fs_reclaim_acquire(GFP_KERNEL)
            allocate()
            fs_reclaim_release(GFP_KERNEL)
            assert k.reports == []


class TestDeclared:
    def test_an_allocation_inside(self, k):
        fs_reclaim_acquire(GFP_KERNEL)
        with k.expect("alloc-gfp-fs-in-fs-path", count=1) as found:
            allocate()
        fs_reclaim_release(GFP_KERNEL)
        assert found[0].headline == "WARNING: possible recursive locking detected"

    def test_a_lock_that_is_taken_inside(self, k, lock):
        allocate_under(lock)
        fs_reclaim_acquire(GFP_KERNEL)
        with k.expect("alloc-gfp-fs-in-fs-path", count=1):
            take(lock)
        fs_reclaim_release(GFP_KERNEL)

    def test_it_stands_for_an_allocation(self, k, lock):
        mutex_lock(lock)
        fs_reclaim_acquire(GFP_KERNEL)
        fs_reclaim_release(GFP_KERNEL)
        mutex_unlock(lock)
        with k.expect("lock-held-across-reclaim", count=1):
            reclaim(k, lambda: take(lock))

    @pytest.mark.parametrize("gfp", [GFP_NOFS, GFP_ATOMIC])
    def test_flags_that_do_not_enter_the_file_systems_declare_nothing(self, k, gfp):
        fs_reclaim_acquire(gfp)
        allocate()
        fs_reclaim_release(gfp)
        assert k.reports == []

    def test_a_release_too_many(self, k):
        with k.expect("lock-unlock-not-held") as found:
            fs_reclaim_release(GFP_KERNEL)
        assert found[0].headline == "WARNING: bad unlock balance detected!"

    def test_a_release_too_few(self):
        with kmock.boot() as k, k.expect("lock-held-at-exit"):
            fs_reclaim_acquire(GFP_KERNEL)
            k.shutdown()
