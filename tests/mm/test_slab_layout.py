"""Where objects lie in a slab, and how many there are."""

from __future__ import annotations

import pytest

from kmock.mm.slab_layout import (
    DEBUG_DEFAULT_FLAGS,
    KMALLOC_CLASS,
    KMALLOC_MAX_SIZE,
    KMALLOC_SIZES,
    SLAB_HWCACHE_ALIGN,
    SLAB_POISON,
    SLAB_RED_ZONE,
    SLAB_TYPESAFE_BY_RCU,
    calculate_alignment,
    calculate_order,
    calculate_sizes,
    get_order,
)


def lay_out(size, align=8, flags=0, *, ctor=False, kasan=False, cpus=4):
    layout = calculate_sizes(size, align, flags, ctor=ctor, kasan=kasan, cpus=cpus)
    assert layout is not None
    return layout


def test_every_size_has_the_smallest_class_that_holds_it():
    for size in range(1, 8193):
        index = KMALLOC_CLASS[size + 7 >> 3]
        assert KMALLOC_SIZES[index] >= size
        assert index == 0 or KMALLOC_SIZES[index - 1] < size


@pytest.mark.parametrize("flags", [0, DEBUG_DEFAULT_FLAGS, SLAB_RED_ZONE, SLAB_POISON, SLAB_TYPESAFE_BY_RCU])
@pytest.mark.parametrize("kasan", [False, True])
@pytest.mark.parametrize("ctor", [False, True])
def test_parts_of_a_place_do_not_overlap(flags, kasan, ctor):
    for size in (1, 7, 8, 13, 64, 100, 1000, 5000, 40000):
        for align in (8, 64, 256):
            x = lay_out(size, align, flags, ctor=ctor, kasan=kasan)
            assert size <= x.inuse <= x.pad_offset <= x.size - x.red_left_pad
            assert x.size % align == 0
            assert x.red_left_pad % align == 0
            assert x.objects * x.size <= 4096 << x.order
            if ctor or flags & (SLAB_TYPESAFE_BY_RCU | SLAB_POISON):
                assert x.offset >= x.inuse


def test_metadata_moves_the_free_pointer_behind_the_object():
    assert lay_out(64).offset == 32
    assert lay_out(64, ctor=True).offset == 64
    assert lay_out(64, ctor=True).size == 72


def test_more_cpus_want_more_objects():
    assert [calculate_order(512, cpus) for cpus in (1, 4, 64, 256)] == [0, 1, 2, 3]


def test_largest_object():
    assert lay_out(KMALLOC_MAX_SIZE).order == 10
    assert calculate_sizes(KMALLOC_MAX_SIZE + 8, 8, 0, ctor=False, kasan=False, cpus=4) is None


def test_alignment_halves_for_small_objects():
    assert [calculate_alignment(SLAB_HWCACHE_ALIGN, 0, n) for n in (1, 16, 17, 32, 33, 1000)] == [8, 16, 32, 32, 64, 64]
    assert calculate_alignment(0, 0, 100) == 8
    assert calculate_alignment(SLAB_HWCACHE_ALIGN, 256, 8) == 256


def test_orders():
    assert [get_order(n) for n in (1, 4096, 4097, 8192, 8193, 4 << 20)] == [0, 0, 1, 1, 2, 10]


def test_few_empty_slabs_are_kept():
    assert [lay_out(n).min_partial for n in (8, 64, 4096, 1 << 20)] == [5, 5, 6, 10]
    assert lay_out(64).cpu_partial_slabs == 4
    assert lay_out(64, flags=SLAB_POISON).cpu_partial_slabs == 0
