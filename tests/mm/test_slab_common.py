"""Creating and destroying caches, sizes, and /proc/slabinfo."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import GFP_ATOMIC, GFP_KERNEL
from kmock.linux.irqflags import irqs_disabled, local_irq_disable
from kmock.linux.slab import (
    KMEM_CACHE,
    KMEM_CACHE_USERCOPY,
    SLAB_HWCACHE_ALIGN,
    SLAB_PANIC,
    kfree,
    kfree_sensitive,
    kmalloc,
    kmalloc_size_roundup,
    kmem_cache_alloc,
    kmem_cache_alloc_bulk,
    kmem_cache_create,
    kmem_cache_create_usercopy,
    kmem_cache_destroy,
    kmem_cache_free,
    kmem_cache_free_bulk,
    ksize,
)
from kmock.linux.types import Struct, u8, u32


def rows(k):
    lines = k.read_file("/proc/slabinfo").splitlines()[2:]
    return {line.split()[0]: line.split()[1:6] for line in lines}


def test_slabinfo_counts_what_lives():
    with kmock.boot(kasan=False, cpus=4) as k:
        cache = kmem_cache_create("counted", 320, 0, 0, None)
        assert rows(k)["counted"] == ["0", "0", "320", "25", "2"]
        objects = [kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(30)]
        assert rows(k)["counted"] == ["50", "50", "320", "25", "2"]
        k.slab.flush(cache)
        assert rows(k)["counted"] == ["30", "50", "320", "25", "2"]
        for p in objects:
            kmem_cache_free(cache, p)
        kmem_cache_destroy(cache)
        assert "counted" not in rows(k)


def test_slabinfo_lists_every_kmalloc_cache():
    with kmock.boot() as k:
        names = rows(k)
    for prefix in ("kmalloc-", "kmalloc-rcl-", "kmalloc-cg-", "dma-kmalloc-"):
        assert {f"{prefix}{n}" for n in ("8", "96", "1k", "8k")} <= names.keys()


def test_alignment_of_the_cache_line():
    with kmock.boot(kasan=False):
        sizes = {}
        for n in (8, 24, 40, 100):
            cache = kmem_cache_create(f"line{n}", n, 0, SLAB_HWCACHE_ALIGN, None)
            sizes[n] = cache.size
            kmem_cache_destroy(cache)
        assert sizes == {8: 8, 24: 32, 40: 64, 100: 128}


def test_panic_flag_panics():
    with kmock.boot() as k, pytest.raises(kmock.KernelPanic, match="Failed to create slab 'bad'"):
        kmem_cache_create("bad", 64, 0, SLAB_PANIC | 1, None)
    assert k.reports


def test_usercopy_window_outside_the_object_is_dropped():
    with kmock.boot() as k:
        with k.expect("cache-create-bad"):
            cache = kmem_cache_create_usercopy("window", 64, 0, 0, 60, 8, None)
        assert (cache.useroffset, cache.usersize) == (0, 0)
        kmem_cache_destroy(cache)


class Packet(Struct):
    length: u32
    payload: u8 * 60


def test_caches_of_structs():
    with kmock.boot() as k:
        cache = KMEM_CACHE(Packet, 0)
        assert (cache.name, cache.object_size) == ("Packet", 64)
        other = KMEM_CACHE_USERCOPY(Packet, 0, "payload")
        assert (other.useroffset, other.usersize) == (4, 60)
        k.reports.clear()
        kmem_cache_destroy(cache)
        kmem_cache_destroy(other)
        assert not k.reports


def test_destroying_with_objects_names_each():
    with kmock.boot() as k:
        cache = kmem_cache_create("busy", 64, 0, 0, None)
        kept = [kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(3)]
        kmem_cache_destroy(cache)
        (report,) = k.reports
        assert report.attributes == {"cache": "busy", "objects": 3}
        assert sum(line.startswith("Object 0x") for line in report.lines) == 3
        assert kept
        k.shutdown()
        assert len(k.reports) == 1


def test_allocating_from_a_destroyed_cache_ends_the_task():
    with kmock.boot(kasan=False) as k:
        cache = kmem_cache_create("gone", 64, 0, 0, None)
        kmem_cache_destroy(cache)
        with pytest.raises(kmock.KernelOops, match="general protection fault"):
            kmem_cache_alloc(cache, GFP_KERNEL)
    assert k.reports[0].kind == "cache-destroy-twice"


def test_allocating_from_the_null_of_a_failed_creation():
    with kmock.boot() as k, k.expect("cache-create-bad"):
        cache = kmem_cache_create("huge", 8 << 20, 0, 0, None)
        with pytest.raises(kmock.KernelOops, match="null-ptr-deref"):
            kmem_cache_alloc(cache, GFP_KERNEL)
        k.reports.accepted += k.reports


def test_merging_where_the_kernel_merges():
    with kmock.boot(kasan=False):
        a = kmem_cache_create("a", 700, 0, 0, None)
        b = kmem_cache_create("b", 696, 0, 0, None)
        assert a is not b
        c = kmem_cache_create("c", 697, 0, 0, None)
        assert c is a
        for cache in (c, b, a):
            kmem_cache_destroy(cache)
    with kmock.boot(kasan=False, cmdline="slab_nomerge"):
        a, b = (kmem_cache_create(name, 700, 0, 0, None) for name in "ab")
        assert a is not b
        kmem_cache_destroy(a)
        kmem_cache_destroy(b)


def test_secret_is_cleared_before_it_goes():
    with kmock.boot() as k:
        p = kmalloc(50, GFP_KERNEL)
        p[0:6] = b"secret"
        phys = p.origin.phys
        kfree_sensitive(p)
        assert k.ram.bytes[phys : phys + 6].tobytes() == bytes(6)
        with k.expect("slab-use-after-free-read"):
            kfree_sensitive(p)


def test_ksize_opens_the_rest_of_the_object():
    with kmock.boot() as k:
        p = kmalloc(100, GFP_KERNEL)
        assert ksize(p) == 128 == kmalloc_size_roundup(100)
        p[127] = 1
        kfree(p)
        assert not k.reports
        assert ksize(p) == 0
        assert [r.kind for r in k.reports] == ["slab-use-after-free-read"]


def test_destroying_with_interrupts_off_is_a_bug():
    from kmock.linux.irqflags import local_irq_disable

    with kmock.boot() as k:
        cache = kmem_cache_create("off", 64, 0, 0, None)
        local_irq_disable()
        with pytest.raises(kmock.KernelOops, match=r"kernel BUG at mm/slub\.c"):
            kmem_cache_destroy(cache)
    assert {r.kind for r in k.reports} >= {"cache-create-atomic"}


def test_creating_in_an_interrupt_is_refused():
    with kmock.boot() as k, k.hardirq():
        assert not kmem_cache_create("irq", 64, 0, 0, None)
        assert "kmem_cache_create(irq) integrity check failed" in k.dmesg()


def test_running_out_of_memory_says_so_once_for_each_try():
    with kmock.boot(kmemleak=False) as k:
        objects = []
        while p := kmalloc(8192, GFP_KERNEL | 0x10000):
            objects.append(p)
        log = k.dmesg()
        assert "SLUB: Unable to allocate memory on node -1, gfp=0x10cc0(GFP_KERNEL|__GFP_NORETRY)" in log
        assert "  cache: kmalloc-8k, object size: 8192, buffer size: 16384, default order: 3, min order: 2" in log
        assert k.slab.pages() == (0, sum(1 << s.order for c in k.slab.caches for s in c.slabs))
        for p in objects:
            kfree(p)
        assert not k.reports


def test_literals_need_no_copy():
    from kmock.linux.slab import kfree_const
    from kmock.linux.string import kstrdup_const

    with kmock.boot() as k:
        text = k.image.rodata(b"text\0")
        assert kstrdup_const(text, GFP_KERNEL) == text
        kfree_const(text)
        copy = kstrdup_const(k.image.data(8), GFP_KERNEL)
        assert copy.origin.cache_name == "kmalloc-8"
        kfree_const(copy)
        assert not k.reports


def test_a_cache_made_in_an_interrupt_is_reported_once():
    with kmock.boot() as k:
        with k.expect("cache-create-atomic"), k.hardirq():
            assert not kmem_cache_create("late", 64, 0, 0, None)
        assert "kmem_cache_create(late) integrity check failed" in k.dmesg()


def test_bulk_allocation_turns_interrupts_on():
    with kmock.boot() as k:
        cache = kmem_cache_create("many", 64, 0, 0, None)
        local_irq_disable()
        with k.expect("irqs-enabled-inside-irqsave"):
            n, objects = kmem_cache_alloc_bulk(cache, GFP_ATOMIC, 3)
        assert not irqs_disabled()
        kmem_cache_free_bulk(cache, n, objects)
        kmem_cache_destroy(cache)


def test_no_cache_at_all():
    with kmock.boot() as k, k.expect("null-deref"), pytest.raises(kmock.KernelOops):
        kmem_cache_alloc(None, GFP_KERNEL)
