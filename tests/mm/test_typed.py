"""kfree() of kernel objects that Python objects stand for."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.cdev import cdev, cdev_alloc
from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.slab import kfree, kmalloc, kmem_cache_create, kmem_cache_destroy
from kmock.linux.types import Struct, sizeof, u32


class Device(Struct):
    id: u32
    chr: cdev


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


def test_a_page_is_not_its_memory(k):
    page = alloc_page(GFP_KERNEL)
    with k.expect("free-of-typed-object", count=1) as found:
        kfree(page)
    assert found[0].hint == "this object is given back with __free_pages(), not kfree()"
    __free_page(page)


def test_a_cache_goes_with_its_slabs(k):
    cache = kmem_cache_create("c", 64, 0, 0, None)
    with k.expect("free-of-typed-object", count=1) as found:
        kfree(cache)
    assert "kmem_cache_destroy" in found[0].hint
    kmem_cache_destroy(cache)


def test_twice_is_the_same_mistake(k):
    device = cdev_alloc()
    with k.expect("free-of-typed-object"):
        kfree(device)
    kfree(device)
    assert len(k.reports) == 1


def test_one_that_a_struct_has_in_it_is_a_member(k):
    device = Device.at(kmalloc(sizeof(Device), GFP_KERNEL))
    with k.expect("slab-interior-free"):
        kfree(device.chr)
    kfree(device)
