"""kmalloc, kfree, and caches: who gets which memory, and what a wrong free is called."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import __GFP_ZERO, GFP_ATOMIC, GFP_DMA, GFP_KERNEL
from kmock.linux.slab import (
    SLAB_TYPESAFE_BY_RCU,
    kfree,
    kfree_const,
    kmalloc,
    kmalloc_node,
    kmem_cache_alloc,
    kmem_cache_alloc_bulk,
    kmem_cache_create,
    kmem_cache_destroy,
    kmem_cache_free,
    kmem_cache_free_bulk,
    kmem_cache_shrink,
    kmem_cache_size,
    krealloc,
    kzalloc,
)


def kinds(k):
    return [report.kind for report in k.reports]


def test_sizes_are_served_by_their_class():
    with kmock.boot(kmemleak=False) as k:
        for size, name in (
            (1, "8"),
            (8, "8"),
            (9, "16"),
            (65, "96"),
            (97, "128"),
            (129, "192"),
            (193, "256"),
            (8192, "8k"),
        ):
            p = kmalloc(size, GFP_KERNEL)
            assert p.origin.cache_name == f"kmalloc-{name}"
            kfree(p)
        p = kmalloc(8193, GFP_KERNEL)
        assert p.origin.what == "4 pages of kmalloc()"
        kfree(p)
        assert not k.reports


@pytest.mark.parametrize(
    ("bits", "name"), [(GFP_DMA, "dma-kmalloc-64"), (0x10, "kmalloc-rcl-64"), (0x400000, "kmalloc-cg-64")]
)
def test_gfp_bits_choose_the_type(bits, name):
    with kmock.boot():
        p = kmalloc(64, GFP_KERNEL | bits)
        assert p.origin.cache_name == name
        kfree(p)


def test_plain_machine_reuses_the_last_freed_object_first():
    with kmock.boot(kasan=False):
        a, b = kmalloc(64, GFP_KERNEL), kmalloc(64, GFP_KERNEL)
        kfree(a)
        kfree(b)
        c, d = kmalloc(64, GFP_KERNEL), kmalloc(64, GFP_KERNEL)
        assert (c, d) == (b, a)
        kfree(c)
        kfree(d)


def test_free_pointer_lies_in_the_middle_of_a_free_object():
    with kmock.boot(kasan=False) as k:
        a, b = kmalloc(128, GFP_KERNEL), kmalloc(128, GFP_KERNEL)
        kfree(a)
        kfree(b)
        at = b.origin.phys + 64
        assert int.from_bytes(k.ram.bytes[at : at + 8], "little") == a


def test_quarantine_keeps_objects_until_it_is_full():
    with kmock.boot() as k:
        first = kmalloc(4096, GFP_KERNEL)
        kfree(first)
        reused = 0
        for _ in range(600):
            p = kmalloc(4096, GFP_KERNEL)
            reused += p == first
            kfree(p)
        assert reused > 0
        assert k.slab.quarantine.size <= k.slab.quarantine.limit + (2 << 20)


def test_stale_pointer_that_frees_a_new_owners_object():
    with kmock.boot(kasan=False) as k:
        a = kmalloc(64, GFP_KERNEL)
        kfree(a)
        b = kmalloc(64, GFP_KERNEL)
        assert a == b
        kfree(a)
        assert kinds(k) == ["slab-double-free"]
        assert "new owner" in "\n".join(k.reports[0].lines)
        # The kernel did free it: what its owner does with it now is part of that finding.
        b[0] = 1
        kfree(b)
        assert len(k.reports) == 1


def test_double_free_by_another_task_is_a_race():
    with kmock.boot(cpus=2) as k:
        p = kmalloc(64, GFP_KERNEL)
        kfree(p)
        with k.on_cpu(1):
            kfree(p)
        assert kinds(k) == ["slab-double-free-race"]


def test_interior_free_leaves_the_object_alone():
    with kmock.boot() as k:
        p = kmalloc(64, GFP_KERNEL)
        kfree(p + 16)
        assert kinds(k) == ["slab-interior-free"]
        p[0] = 1
        kfree(p)
        assert len(k.reports) == 1


def test_pointer_without_provenance_can_be_freed():
    with kmock.boot() as k:
        p = kmalloc(64, GFP_KERNEL)
        kfree(kmock.linux.types.Ptr(int(p)))
        assert not p.origin.live
        assert not k.reports


def test_zeroed_memory_counts_as_written():
    with kmock.boot():
        p, q = kmalloc(64, GFP_KERNEL), kzalloc(64, GFP_KERNEL)
        assert p.origin.written == b""
        assert q.origin.written is None
        kfree(p)
        kfree(q)


def test_init_on_alloc_zeroes_everything():
    with kmock.boot(kasan=False, cmdline="init_on_alloc=1"):
        p = kmalloc(64, GFP_KERNEL)
        p[0:64] = b"x" * 64
        kfree(p)
        p = kmalloc(64, GFP_KERNEL)
        assert p[0:64] == bytes(64)
        kfree(p)


def test_failed_allocation_knows_its_call():
    with kmock.boot() as k, k.expect("alloc-size-too-large"):
        p = kmalloc(5 << 20, GFP_KERNEL)
        assert not p
        assert p.origin.call == "kmalloc"


def test_sizes_beyond_size_t_wrap_as_in_c():
    with kmock.boot() as k:
        with k.expect("alloc-size-overflow") as found:
            p = kmalloc((1 << 64) + 32, GFP_KERNEL)
        assert found[0].attributes["wrapped"] == p.origin.size == 32
        kfree(p)


def test_node_of_kmalloc_node():
    with kmock.boot(nodes=2, cpus=2, memory="128M") as k:
        pages = [k.memmap.page(kmalloc_node(64, GFP_KERNEL, n).origin.phys >> 12) for n in (0, 1, 0, 1)]
        assert [page.zone.nid for page in pages] == [0, 1, 0, 1]


def test_frees_from_another_cpu_come_back_after_the_own_ones():
    with kmock.boot(kasan=False, cpus=2, kmemleak=False) as k:
        objects = [kmalloc(64, GFP_KERNEL) for _ in range(4)]
        slab = objects[0].origin.slab
        with k.on_cpu(1):
            kfree(objects[0])
        assert slab.remote == [0]
        kfree(objects[1])
        assert kmalloc(64, GFP_KERNEL) == objects[1]
        rest = [kmalloc(64, GFP_KERNEL) for _ in range(slab.objects - 3)]
        assert rest[-1] == objects[0]


def test_empty_slabs_go_back_beyond_those_worth_keeping():
    with kmock.boot(kasan=False, kmemleak=False) as k:
        cache = kmem_cache_create("big", 4000, 0, 0, None)
        objects = [kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(400)]
        assert len(cache.slabs) == 50
        for p in objects:
            kmem_cache_free(cache, p)
        assert len(cache.slabs) < 20
        assert kmem_cache_shrink(cache) == 0
        assert not cache.slabs
        kmem_cache_destroy(cache)
        assert not k.reports


def test_constructor_runs_once_for_each_object_of_a_slab():
    seen = []

    def ctor(p):
        seen.append(int(p))
        p[0:4] = b"ctor"

    with kmock.boot() as k:
        cache = kmem_cache_create("made", 100, 0, 0, ctor)
        p = kmem_cache_alloc(cache, GFP_KERNEL)
        assert p[0:4] == b"ctor"
        assert len(seen) == len(set(seen)) == cache.layout.objects
        assert p.origin.unwritten(0, 8) == [(4, 8)]
        kmem_cache_free(cache, p)
        kmem_cache_destroy(cache)
        assert not k.reports


def test_six_argument_create_calls_constructor_and_destructor_as_2_6_did():
    made, gone = [], []

    def ctor(p, cache, flags):
        made.append(flags)

    def dtor(p, cache, flags):
        gone.append((cache.name, flags))

    with kmock.boot() as k:
        cache = kmem_cache_create("scullc", 4000, 0, 0x2000, ctor, dtor)
        p = kmem_cache_alloc(cache, GFP_ATOMIC)
        assert set(made) == {3}
        kmem_cache_free(cache, p)
        kmem_cache_destroy(cache)
        assert gone == [("scullc", 0)] * len(made)
        assert not k.reports


def test_bulk_is_all_or_nothing():
    with kmock.boot() as k:
        cache = kmem_cache_create("bulk", 64, 0, 0, None)
        n, objects = kmem_cache_alloc_bulk(cache, GFP_KERNEL, 10)
        assert n == 10
        assert len({*objects}) == 10
        kmem_cache_free_bulk(cache, 10, objects)
        with k.expect("cache-bulk-free-bad"):
            kmem_cache_free_bulk(cache, 1, [kmock.linux.types.NULL])
        kmem_cache_destroy(cache)


def test_typesafe_object_may_be_touched_by_readers_only():
    with kmock.boot() as k:
        cache = kmem_cache_create("typed", 64, 0, SLAB_TYPESAFE_BY_RCU, None)
        p = kmem_cache_alloc(cache, GFP_KERNEL)
        p[0] = 1
        k.rcu.read_lock()
        kmem_cache_free(cache, p)
        assert p[0] == 1
        k.rcu.read_unlock()
        with k.expect("slab-use-after-free-read"):
            p[0]
        kmem_cache_destroy(cache)


def test_cache_is_reported_when_it_is_left():
    with kmock.boot() as k:
        kmem_cache_create("left", 64, 0, 0, None)
        k.shutdown()
        assert kinds(k) == ["cache-never-destroyed"]


def test_size_is_the_one_asked_for():
    with kmock.boot():
        cache = kmem_cache_create("odd", 61, 0, 0, None)
        assert kmem_cache_size(cache) == 61
        kmem_cache_destroy(cache)


def test_object_handed_on_by_another_subsystem():
    with kmock.boot() as k:
        p = kmalloc(64, GFP_KERNEL)
        k.slab.claim(p.origin, "mempool_free")
        with k.expect("kfree-of-mempool") as found:
            kfree(p)
        assert "mempool_free" in found[0].hint
        q = kmalloc(64, GFP_KERNEL)
        k.slab.claim(q.origin, "mempool_free")
        k.slab.disclaim(q.origin)
        kfree(q)


def test_resizing_keeps_what_is_known_of_each_byte():
    with kmock.boot() as k:
        p = kmalloc(16, GFP_KERNEL)
        p[0:4] = b"abcd"
        q = krealloc(p, 100, GFP_KERNEL)
        assert q[0:4] == b"abcd"
        assert q.origin.unwritten(0, 100) == [(4, 100)]
        q = krealloc(q, 2, GFP_KERNEL)
        q = krealloc(q, 50, GFP_KERNEL)
        assert q.origin.unwritten(0, 50) == [(2, 50)]
        kfree(q)
        assert not k.reports


def test_literal_is_nothing_to_free():
    with kmock.boot() as k:
        kfree_const("literal")
        assert not k.reports


def test_zero_gfp_on_a_cache_with_constructor():
    with kmock.boot() as k:
        cache = kmem_cache_create("made", 64, 0, 0, lambda p: None)
        with k.expect("cache-ctor-zero"):
            p = kmem_cache_alloc(cache, GFP_KERNEL | __GFP_ZERO)
        kmem_cache_free(cache, p)
        kmem_cache_destroy(cache)


def test_slab_with_a_place_listed_twice_is_kept_while_an_object_lives():
    with kmock.boot(kasan=False, kmemleak=False) as k:
        cache = kmem_cache_create("big", 4000, 0, 0, None)
        objects = [kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(200)]
        with k.expect("slab-double-free"):
            kmem_cache_free(cache, objects[1])
            kmem_cache_free(cache, objects[1])
        for p in objects[2:]:
            kmem_cache_free(cache, p)
        k.slab.flush(cache)
        assert objects[0].origin.slab in cache.slabs
        objects[0][0] = 1
        kmem_cache_free(cache, objects[0])
        kmem_cache_destroy(cache)
        assert len(k.reports) == 1
