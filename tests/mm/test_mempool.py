"""Memory pools: the reserve, sleeping, and every misuse that the header's functions know."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import GFP_ATOMIC, GFP_KERNEL, GFP_NOIO, GFP_NOWAIT, __free_pages
from kmock.linux.jiffies import HZ, jiffies
from kmock.linux.kthread import kthread_run
from kmock.linux.mempool import (
    mempool_alloc,
    mempool_alloc_pages,
    mempool_alloc_slab,
    mempool_create,
    mempool_create_kmalloc_pool,
    mempool_create_node,
    mempool_create_page_pool,
    mempool_create_slab_pool,
    mempool_destroy,
    mempool_exit,
    mempool_free,
    mempool_free_pages,
    mempool_free_slab,
    mempool_init,
    mempool_init_kmalloc_pool,
    mempool_init_node,
    mempool_init_page_pool,
    mempool_init_slab_pool,
    mempool_initialized,
    mempool_kfree,
    mempool_kmalloc,
    mempool_resize,
    mempool_t,
)
from kmock.linux.mm import page_address
from kmock.linux.slab import kfree, kmalloc, kmem_cache_create, kmem_cache_destroy, kmem_cache_free, kzalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.types import NULL, Struct, addressof, sizeof, u32


class Supply:
    """An allocator for a pool that can be told to fail."""

    def __init__(self):
        self.dry = False
        self.given = self.taken_back = 0

    def alloc(self, gfp, data):
        if self.dry:
            return NULL
        self.given += 1
        return kmalloc(64, gfp)

    def free(self, element, data):
        self.taken_back += 1
        kfree(element)

    def pool(self, n):
        return mempool_create(n, self.alloc, self.free, NULL)


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert [str(r) for r in kernel.reports.unexpected] == []


def no_memory(k):
    k.faults.failslab(probability=100, times=-1, ignore_gfp_wait=False)


# -- every kind of pool -----------------------------------------------------------------------------


def test_pool_over_a_cache(k):
    cache = kmem_cache_create("request", 104, 0, 0, None)
    pool = mempool_create_slab_pool(2, cache)
    assert (pool.min_nr, pool.curr_nr, pool.pool_data) == (2, 2, cache)
    p = mempool_alloc(pool, GFP_KERNEL)
    assert p.origin.cache is cache
    mempool_free(p, pool)
    mempool_destroy(pool)
    kmem_cache_destroy(cache)


def test_pool_over_a_cache_by_the_functions_of_ldd3(k):
    cache = kmem_cache_create("request", 104, 0, 0, None)
    pool = mempool_create(2, mempool_alloc_slab, mempool_free_slab, cache)
    p = mempool_alloc(pool, GFP_KERNEL)
    mempool_free(p, pool)
    with k.expect("slab-use-after-free-write", count=1):
        p[0] = 1
    mempool_destroy(pool)
    kmem_cache_destroy(cache)


def test_pool_of_pages(k):
    pool = mempool_create_page_pool(1, 1)
    page = mempool_alloc(pool, GFP_KERNEL)
    page_address(page)[4096:4100] = b"tail"
    mempool_free(page, pool)
    mempool_destroy(pool)
    free = k.page_alloc.nr_free_pages
    pool = mempool_create(2, mempool_alloc_pages, mempool_free_pages, 0)
    assert pool.curr_nr == 2
    mempool_destroy(pool)
    assert k.page_alloc.nr_free_pages <= free


def test_page_in_the_reserve_is_closed(k):
    pool = mempool_create_page_pool(1, 0)
    k.faults.fail_page_alloc(probability=100, times=-1, ignore_gfp_wait=False, min_order=0)
    page = mempool_alloc(pool, GFP_NOIO)
    address = page_address(page)
    address[0] = 1
    mempool_free(page, pool)
    with k.expect("mempool-element-written", count=1) as found:
        address[0] = 2
    assert found[0].headline.startswith("BUG: KASAN: use-after-free in ")
    mempool_destroy(pool)


def test_pool_on_a_node(k):
    supply = Supply()
    pool = mempool_create_node(1, supply.alloc, supply.free, "data", GFP_KERNEL, 0)
    assert (pool.alloc, pool.free, pool.pool_data) == (supply.alloc, supply.free, "data")
    mempool_destroy(pool)
    assert supply.given == supply.taken_back == 1


def test_pool_of_python_objects(k):
    made = []

    def alloc(gfp, data):
        if len(made) == 2:
            return None
        made.append({"number": len(made)})
        return made[-1]

    gone = []
    pool = mempool_create(2, alloc, lambda element, data: gone.append(element), NULL)
    first = mempool_alloc(pool, GFP_NOIO)
    second = mempool_alloc(pool, GFP_NOIO)
    assert first is made[1]
    assert second is made[0]
    mempool_free(first, pool)
    with k.expect("mempool-double-free", count=1):
        mempool_free(first, pool)
    with k.expect("mempool-destroy-busy", count=1):
        mempool_destroy(pool)
    assert all(element is first for element in gone)


def test_pool_over_a_pool(k):
    inner = mempool_create_kmalloc_pool(2, 64)
    outer = mempool_create(2, lambda gfp, data: mempool_alloc(data, gfp), mempool_free, inner)
    taken = [mempool_alloc(outer, GFP_NOIO) for _ in range(4)]
    for element in taken:
        mempool_free(element, outer)
    mempool_destroy(outer)
    mempool_destroy(inner)


@pytest.mark.parametrize("arch", ["x86_64", "x86_32"])
def test_the_array_is_one_of_pointers(arch):
    with kmock.boot(arch=arch) as k:
        pool = mempool_create_kmalloc_pool(3, 64)
        assert len({int(pool.elements.ptr[i]) for i in range(3)}) == 3
        mempool_destroy(pool)
        k.shutdown()
        assert not k.reports


class drive(Struct):
    sectors: u32
    requests: mempool_t


def test_pool_in_a_struct(k):
    assert sizeof(mempool_t) == 72
    dev = drive.at(kzalloc(sizeof(drive), GFP_KERNEL))
    assert not mempool_initialized(dev.requests)
    mempool_exit(dev.requests)
    assert mempool_init_kmalloc_pool(dev.requests, 2, 64) == 0
    assert mempool_initialized(dev.requests)
    p = mempool_alloc(dev.requests, GFP_KERNEL)
    mempool_free(p, addressof(dev.requests))
    mempool_exit(dev.requests)
    kfree(addressof(dev))


@pytest.mark.parametrize("init", [
    lambda pool, cache: mempool_init(pool, 3, mempool_kmalloc, mempool_kfree, 64),
    lambda pool, cache: mempool_init_node(pool, 3, mempool_kmalloc, mempool_kfree, 64, GFP_KERNEL, -1),
    lambda pool, cache: mempool_init_slab_pool(pool, 3, cache),
    lambda pool, cache: mempool_init_page_pool(pool, 3, 0),
])  # fmt: skip
def test_init_and_exit(k, init):
    cache = kmem_cache_create("request", 104, 0, 0, None)
    pool = mempool_t()
    assert init(pool, cache) == 0
    assert pool.curr_nr == 3
    mempool_exit(pool)
    assert (pool.curr_nr, pool.elements) == (0, NULL)
    kmem_cache_destroy(cache)


def test_a_pool_that_can_not_be_filled_is_null(k):
    supply = Supply()
    supply.dry = True
    assert not supply.pool(1)
    assert not mempool_create_kmalloc_pool(-1, 64)
    assert mempool_init(mempool_t(), 1, supply.alloc, supply.free, NULL) == -12


def test_a_failed_fill_gives_back_what_it_has(k):
    supply = Supply()

    def alloc(gfp, data):
        supply.dry = supply.given == 3
        return supply.alloc(gfp, data)

    assert not mempool_create(5, alloc, supply.free, NULL)
    assert supply.given == supply.taken_back == 3


# -- the reserve ------------------------------------------------------------------------------------


def test_grow_fills_and_shrink_frees(k):
    supply = Supply()
    pool = supply.pool(2)
    assert mempool_resize(pool, 5) == 0
    assert (pool.min_nr, pool.curr_nr, supply.given) == (5, 5, 5)
    assert mempool_resize(pool, 5) == 0
    assert mempool_resize(pool, 3) == 0
    assert (pool.min_nr, pool.curr_nr, supply.taken_back) == (3, 3, 2)
    mempool_destroy(pool)


def test_grow_keeps_the_elements(k):
    supply = Supply()
    pool = supply.pool(2)
    before = [int(pool.elements.ptr[i]) for i in range(2)]
    supply.dry = True
    assert mempool_resize(pool, 4) == 0
    assert (pool.min_nr, pool.curr_nr) == (4, 2)
    assert [int(pool.elements.ptr[i]) for i in range(2)] == before
    mempool_destroy(pool)


def test_later_frees_fill_what_a_resize_could_not(k):
    supply = Supply()
    pool = supply.pool(1)
    taken = [mempool_alloc(pool, GFP_KERNEL) for _ in range(3)]
    supply.dry = True
    mempool_resize(pool, 3)
    for element in taken:
        mempool_free(element, pool)
    assert (pool.curr_nr, supply.taken_back) == (3, 1)
    mempool_destroy(pool)


def test_resize_without_memory_for_the_array(k):
    pool = mempool_create_kmalloc_pool(1, 64)
    no_memory(k)
    assert mempool_resize(pool, 8) == -12
    assert pool.min_nr == 1
    k.faults.clear()
    mempool_destroy(pool)


def test_atomic_callers_get_null(k):
    supply = Supply()
    pool = supply.pool(1)
    supply.dry = True
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    element = mempool_alloc(pool, GFP_ATOMIC)
    assert element
    assert not mempool_alloc(pool, GFP_NOWAIT)
    spin_unlock(lock)
    mempool_free(element, pool)
    mempool_destroy(pool)


def test_what_comes_from_the_reserve_is_as_it_was(k):
    supply = Supply()
    pool = supply.pool(1)
    supply.dry = True
    element = mempool_alloc(pool, GFP_KERNEL)
    element[0:4] = b"left"
    mempool_free(element, pool)
    again = mempool_alloc(pool, GFP_KERNEL)
    assert again[0:4] == b"left"
    mempool_free(again, pool)
    mempool_destroy(pool)


# -- sleeping ---------------------------------------------------------------------------------------


def test_the_first_to_wait_is_the_first_to_get(k):
    supply = Supply()
    pool = supply.pool(1)
    supply.dry = True
    element = mempool_alloc(pool, GFP_NOIO)
    order = []

    def worker(name):
        mine = mempool_alloc(pool, GFP_NOIO)
        order.append(name)
        mempool_free(mine, pool)
        return 0

    for name in ("a", "b", "c"):
        kthread_run(worker, name, name)
    k.run()
    assert order == []
    mempool_free(element, pool)
    k.run()
    assert sorted(order) == ["a", "b", "c"]
    mempool_destroy(pool)


def test_many_threads_share_a_small_reserve(k):
    supply = Supply()
    pool = supply.pool(2)
    supply.dry = True
    done = []

    def worker(number):
        for _ in range(5):
            mine = mempool_alloc(pool, GFP_NOIO)
            mine.u32[0] = number
            k.sched.give_way()
            assert mine.u32[0] == number
            mempool_free(mine, pool)
        done.append(number)
        return 0

    for number in range(6):
        kthread_run(worker, number, f"w{number}")
    k.advance(60)
    assert sorted(done) == list(range(6))
    mempool_destroy(pool)


def test_free_in_an_interrupt_wakes_the_sleeper(k):
    supply = Supply()
    pool = supply.pool(1)
    supply.dry = True
    element = mempool_alloc(pool, GFP_NOIO)
    got = []

    def worker(data):
        got.append(mempool_alloc(pool, GFP_NOIO))
        return 0

    kthread_run(worker, NULL, "worker")
    k.run()
    with k.hardirq():
        mempool_free(element, pool)
    k.run()
    assert got == [element]
    mempool_free(got[0], pool)
    mempool_destroy(pool)


def test_waiting_for_ones_own_element(k):
    pool = mempool_create_kmalloc_pool(1, 64)
    no_memory(k)
    element = mempool_alloc(pool, GFP_NOIO)
    with k.expect("mempool-nested-alloc", count=1) as found, pytest.raises(kmock.Deadlock) as stopped:
        mempool_alloc(pool, GFP_NOIO)
    assert stopped.value.report is found[0]
    assert "waits for itself" in found[0].lines[-1]
    assert any(role == "taken by itself" for role in found[0].stacks)
    k.faults.clear()
    mempool_free(element, pool)
    mempool_destroy(pool)


def test_waiting_for_what_another_keeps_is_a_hang(k):
    pool = mempool_create_kmalloc_pool(1, 64)
    kept = []

    def keeper(data):
        kept.append(mempool_alloc(pool, GFP_NOIO))
        return 0

    kthread_run(keeper, NULL, "keeper")
    no_memory(k)
    k.run()
    with k.expect("hang", count=1) as found, pytest.raises(kmock.Deadlock):
        mempool_alloc(pool, GFP_NOIO)
    assert any("keeper" in line for line in found[0].lines)
    mempool_free(kept[0], pool)
    mempool_destroy(pool)


def test_a_thread_that_waits_for_itself_is_told_of_at_the_end():
    with kmock.boot() as k:
        pool = mempool_create_kmalloc_pool(1, 64)

        def worker(data):
            mempool_alloc(pool, GFP_NOIO)
            mempool_alloc(pool, GFP_NOIO)
            return 0

        kthread_run(worker, NULL, "worker")
        no_memory(k)
        k.run()
        k.shutdown()
        assert "mempool-nested-alloc" in [r.kind for r in k.reports]


def test_a_wait_ends_by_itself_when_the_allocator_recovers(k):
    supply = Supply()
    pool = supply.pool(1)
    supply.dry = True
    element = mempool_alloc(pool, GFP_NOIO)

    def later(data):
        k.sched.sleep_until(k.clock.now + 2_000_000_000)
        supply.dry = False
        return 0

    kthread_run(later, NULL, "later")
    began = jiffies()
    other = mempool_alloc(pool, GFP_NOIO)
    assert jiffies() - began == 5 * HZ
    mempool_free(other, pool)
    mempool_free(element, pool)
    mempool_destroy(pool)


# -- misuse -----------------------------------------------------------------------------------------


def test_null_pool(k):
    for call in (lambda: mempool_alloc(NULL, GFP_KERNEL), lambda: mempool_free(kmalloc(8, GFP_KERNEL), None)):
        with k.expect("null-deref"), pytest.raises(kmock.KernelOops):
            call()
    with k.expect("leak-*"):
        k.shutdown()


def test_swapped_arguments(k):
    pool = mempool_create_kmalloc_pool(1, 128)
    element = mempool_alloc(pool, GFP_KERNEL)
    with k.expect("wild-pointer-deref"), pytest.raises(kmock.KernelOops):
        mempool_free(pool, element)
    mempool_free(element, pool)
    mempool_destroy(pool)


def test_zeroed_pool(k):
    with k.expect("null-deref"), pytest.raises(kmock.KernelOops):
        mempool_alloc(mempool_t(), GFP_KERNEL)


def test_use_after_destroy(k):
    pool = mempool_create_kmalloc_pool(1, 64)
    mempool_destroy(pool)
    with k.expect("slab-use-after-free-read", count=1) as found:
        element = mempool_alloc(pool, GFP_KERNEL)
    assert found[0].headline == "BUG: KASAN: use-after-free in mempool_alloc+0x0/0x0"
    with k.expect("kfree-of-mempool"):
        kfree(element)


def test_destroyed_twice(k):
    pool = mempool_create_kmalloc_pool(1, 64)
    mempool_destroy(pool)
    with k.expect("slab-use-after-free-read", count=1) as found:
        mempool_destroy(pool)
    assert found[0].headline == "BUG: KASAN: use-after-free in mempool_exit+0x0/0x0"
    assert "double-free" in found[0].followed_by[0]


def test_destroy_of_an_initialised_pool(k):
    pool = mempool_t()
    mempool_init_kmalloc_pool(pool, 1, 64)
    with k.expect("slab-member-free", count=1):
        mempool_destroy(pool)


def test_kfree_of_a_pool(k):
    pool = mempool_create_kmalloc_pool(1, 64)
    with k.expect("free-of-typed-object", count=1):
        kfree(addressof(pool))


def test_never_destroyed(k):
    pools = [mempool_create_kmalloc_pool(2, 64)]
    with k.expect("leak-reachable", count=1) as found:
        k.shutdown()
    assert found[0].where.function == "test_never_destroyed"
    assert pools


def test_never_exited(k):
    pool = mempool_t()
    mempool_init_kmalloc_pool(pool, 2, 64)
    with k.expect("leak-reachable", count=1):
        k.shutdown()


def test_double_free_into_a_full_reserve(k):
    pool = mempool_create_kmalloc_pool(1, 64)
    element = mempool_alloc(pool, GFP_KERNEL)
    mempool_free(element, pool)
    with k.expect("mempool-double-free", count=1) as found:
        mempool_free(element, pool)
    assert found[0].headline == "BUG: KASAN: double-free in __kmem_cache_free+0x0/0x0"
    mempool_destroy(pool)


def test_foreign_element(k):
    pool = mempool_create_kmalloc_pool(1, 64)
    stray = kmalloc(64, GFP_KERNEL)
    with k.expect("mempool-wrong-pool", count=1) as found:
        mempool_free(stray, pool)
    assert found[0].where.function == "test_foreign_element"
    mempool_destroy(pool)


def test_element_of_another_pool_stays_in_use(k):
    a, b = mempool_create_kmalloc_pool(1, 64), mempool_create_kmalloc_pool(1, 64)
    no_memory(k)
    mine, other = mempool_alloc(a, GFP_NOIO), mempool_alloc(b, GFP_NOIO)
    with k.expect("mempool-wrong-pool", count=1):
        mempool_free(mine, b)
    assert b.curr_nr == 1
    again = mempool_alloc(b, GFP_NOIO)
    assert again == mine
    mempool_free(again, b)
    k.faults.clear()
    mempool_free(other, b)
    mempool_destroy(b)
    mempool_destroy(a)


def test_elements_released_past_the_pool(k):
    cache = kmem_cache_create("request", 64, 0, 0, None)
    pool = mempool_create_slab_pool(1, cache)
    element = mempool_alloc(pool, GFP_KERNEL)
    with k.expect("kfree-of-mempool", count=1):
        kmem_cache_free(cache, element)
    mempool_destroy(pool)
    kmem_cache_destroy(cache)
    pages = mempool_create_page_pool(1, 0)
    page = mempool_alloc(pages, GFP_KERNEL)
    with k.expect("kfree-of-mempool", count=1):
        __free_pages(page, 0)
    mempool_destroy(pages)


def test_kfree_of_an_element_in_the_reserve(k):
    pool = mempool_create_kmalloc_pool(1, 64)
    element = pool.elements.ptr[0]
    with k.expect("kfree-of-mempool", count=1) as found:
        kfree(element)
    assert found[0].headline == "BUG: KASAN: double-free in __kmem_cache_free+0x0/0x0"
    mempool_destroy(pool)


def test_two_tasks_resize(k):
    inside = []

    def alloc(gfp, data):
        if inside:
            k.sched.give_way()
        return kmalloc(64, gfp)

    pool = mempool_create(1, alloc, lambda element, data: kfree(element), NULL)
    inside.append(1)

    def worker(data):
        mempool_resize(pool, 4)
        return 0

    kthread_run(worker, NULL, "worker")
    with k.expect("mempool-resize-bad", count=1):
        mempool_resize(pool, 3)
    k.run()
    mempool_destroy(pool)


def test_resize_where_sleeping_is_forbidden(k):
    pool = mempool_create_kmalloc_pool(2, 64)
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    with k.expect("sleep-in-atomic", count=1) as found:
        mempool_resize(pool, 1)
    spin_unlock(lock)
    assert found[0].headline.endswith("at mm/mempool.c:325")
    mempool_destroy(pool)


def test_poison_of_a_kernel_without_kasan():
    with kmock.boot(kasan=False) as k:
        pool = mempool_create_kmalloc_pool(1, 64)
        element = pool.elements.ptr[0]
        assert k.ram.bytes[element.origin.phys + 63] == 0xA5
        k.mem.poke(element + 3, b"\x12")  # what a device, or a stray store, does
        with k.expect("mempool-element-written", count=1) as found:
            mempool_destroy(pool)
        assert found[0].headline == "BUG: mempool element poison mismatch"
        assert found[0].lines[1].endswith(": 0x6b 6b 6b 12 6b 6b 6b 6b 6b 6b 6b ...")
        assert not k.reports.unexpected


def test_lint_of_null_tests():
    with kmock.boot(lint=True) as k:
        pool = mempool_create_kmalloc_pool(2, 64)

        def careless():
            p = mempool_alloc(pool, GFP_NOWAIT)
            p[0] = 1
            return p

        mempool_free(careless(), pool)
        found = [r for r in k.reports if r.kind == "mempool-null-check"]
        assert [r.where.function for r in found] == ["careless"]
        mempool_destroy(pool)
