"""slub_debug: patterns in RAM, and what is said of their damage."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc, kmem_cache_alloc, kmem_cache_create, kmem_cache_destroy, kmem_cache_free
from kmock.mm.slab_layout import DEBUG_DEFAULT_FLAGS, SLAB_POISON, SLAB_RED_ZONE, parse_slub_debug


@pytest.fixture
def k():
    with kmock.boot(kasan=False, kmemleak=False, cmdline="slub_debug=FZPU") as kernel:
        yield kernel


def around(k, p):
    """The bytes of kmalloc-64's slot: left red zone, object, right red zone, the rest."""
    at = p.origin.phys
    ram = k.ram.bytes
    return ram[at - 64 : at].tobytes(), ram[at : at + 64].tobytes(), ram[at + 64 : at + 72].tobytes()


def test_patterns_of_living_and_free_objects(k):
    p = kmalloc(64, GFP_KERNEL)
    poisoned = b"\x6b" * 63 + b"\xa5"
    assert around(k, p) == (b"\xcc" * 64, poisoned, b"\xcc" * 8)
    kfree(p)
    assert around(k, p) == (b"\xbb" * 64, poisoned, b"\xbb" * 8)


@pytest.mark.parametrize(
    ("offset", "kind", "what"),
    [
        (-1, "slab-out-of-bounds-left", "Left Redzone overwritten"),
        (64, "slab-out-of-bounds-right", "Right Redzone overwritten"),
        (160, "slab-out-of-bounds-right", "Object padding overwritten"),
    ],
)
def test_damage_that_no_store_showed_is_found_at_the_free(k, offset, kind, what):
    p = kmalloc(64, GFP_KERNEL)
    k.ram.bytes[p.origin.phys + offset] = 0x12
    assert not k.reports
    kfree(p)
    assert [(r.kind, r.headline.partition("): ")[2]) for r in k.reports] == [(kind, what)]
    assert "First byte 0x12 instead of" in k.reports[0].lines[0]


def test_damage_of_a_free_object_is_found_when_it_is_wanted_again(k):
    p = kmalloc(64, GFP_KERNEL)
    kfree(p)
    k.ram.bytes[p.origin.phys + 5] = 0x12
    q = kmalloc(64, GFP_KERNEL)
    assert [r.kind for r in k.reports] == ["slab-use-after-free-write"]
    assert "Marking all objects used" in k.dmesg()
    assert q.origin.slab is not p.origin.slab


def test_store_and_later_check_are_one_finding(k):
    p = kmalloc(64, GFP_KERNEL)
    p[64] = 0x12
    kfree(p)
    assert len(k.reports) == 1
    assert "Right Redzone overwritten" in k.reports[0].headline
    assert "FIX kmalloc-64: Restoring Right Redzone" in k.dmesg()
    assert k.reports[0].followed_by


def test_tail_of_a_slab_is_watched(k):
    cache = kmem_cache_create("tail", 1000, 0, 0, None)
    p = kmem_cache_alloc(cache, GFP_KERNEL)
    slab = p.origin.slab
    end = (4096 << slab.order) + slab.page.phys
    k.ram.bytes[end - 1] = 0
    kmem_cache_free(cache, p)
    assert [r.kind for r in k.reports] == ["cache-metadata-scribble"]
    assert "Padding overwritten" in k.reports[0].headline
    kmem_cache_destroy(cache)


def test_only_named_caches_are_debugged():
    with kmock.boot(kasan=False, cmdline="slub_debug=FZ,watched*") as k:
        one = kmem_cache_create("watched_one", 64, 0, 0, None)
        other = kmem_cache_create("other", 64, 0, 0, None)
        assert one.debug
        assert not other.debug
        kmem_cache_destroy(one)
        kmem_cache_destroy(other)
        assert not k.reports


def test_options_as_the_kernel_reads_them():
    assert parse_slub_debug(None).flags == 0
    assert parse_slub_debug("").flags == DEBUG_DEFAULT_FLAGS
    assert parse_slub_debug("-").flags == 0
    assert parse_slub_debug("ZP").flags == SLAB_RED_ZONE | SLAB_POISON
    options = parse_slub_debug("Z,a,b*;P")
    assert options.flags == SLAB_POISON
    assert options.for_cache("a", 0) == SLAB_RED_ZONE
    assert options.for_cache("bcd", 0) == SLAB_RED_ZONE
    assert options.for_cache("c", 0) == SLAB_POISON


def test_option_o_spares_caches_that_would_grow():
    with kmock.boot(kasan=False, cmdline="slub_debug=FZPUO"):
        p = kmalloc(4096, GFP_KERNEL)
        assert p.origin.slab.cache.layout.red_left_pad == 0
        kfree(p)
