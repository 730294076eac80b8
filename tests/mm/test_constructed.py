"""What a constructor made outlives the objects: locks, lists, pointers into themselves."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.list import INIT_LIST_HEAD, LIST_HEAD, list_add, list_del_init, list_empty, list_head
from kmock.linux.slab import (
    SLAB_TYPESAFE_BY_RCU,
    kmem_cache_alloc,
    kmem_cache_create,
    kmem_cache_destroy,
    kmem_cache_free,
)
from kmock.linux.spinlock import spin_lock, spin_lock_init, spin_unlock, spinlock_t
from kmock.linux.types import Ptr, Struct, sizeof, u32


class item(Struct):
    lock: spinlock_t
    node: list_head
    me: Ptr
    value: u32


def construct(p):
    made = item.at(p)
    spin_lock_init(made.lock)
    INIT_LIST_HEAD(made.node)
    made.me = p


@pytest.fixture(params=[{"kasan": False}, {}], ids=["plain", "kasan"])
def k(request):
    with kmock.boot(**request.param) as kernel:
        yield kernel


@pytest.fixture
def cache(k):
    made = kmem_cache_create("item", sizeof(item), 0, SLAB_TYPESAFE_BY_RCU, construct)
    yield made
    kmem_cache_destroy(made)


def test_is_there_in_the_first_and_the_next_object_of_a_place(k, cache):
    queue, places = LIST_HEAD("queue"), []
    for _ in range(3):
        one = item.at(kmem_cache_alloc(cache, GFP_KERNEL))
        places.append(int(one.me))
        assert list_empty(one.node)
        spin_lock(one.lock)
        list_add(one.node, queue)
        list_del_init(one.node)
        spin_unlock(one.lock)
        one.me.u32[0]
        kmem_cache_free(cache, one)
    assert len(set(places)) == 1
    assert not k.reports


def test_a_lock_that_is_held_when_its_object_is_freed_is_still_found(k, cache):
    one = item.at(kmem_cache_alloc(cache, GFP_KERNEL))
    spin_lock(one.lock)
    with k.expect("lock-freed-held"):
        kmem_cache_free(cache, one)
    again = item.at(kmem_cache_alloc(cache, GFP_KERNEL))
    kmem_cache_free(cache, again)


def test_a_list_that_runs_through_a_freed_object_is_still_found(k, cache):
    queue = LIST_HEAD("queue")
    one = item.at(kmem_cache_alloc(cache, GFP_KERNEL))
    list_add(one.node, queue)
    with k.expect("free-while-on-list"), k.expect("cache-ctor-state"):
        kmem_cache_free(cache, one)


def test_a_pointer_kept_outside_goes_stale(k, cache):
    one = item.at(kmem_cache_alloc(cache, GFP_KERNEL))
    kept = one.me
    kmem_cache_free(cache, one)
    again = item.at(kmem_cache_alloc(cache, GFP_KERNEL))
    with k.expect("slab-use-after-reuse"):
        kept.u32[0]
    assert again.me.origin is not kept.origin
    kmem_cache_free(cache, again)
