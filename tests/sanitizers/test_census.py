"""What is left at the end: grouped by place, told once, and only what is the driver's."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux import gfp
from kmock.linux.gfp import GFP_KERNEL, alloc_page
from kmock.linux.mm import get_page, put_page
from kmock.linux.slab import kfree, kmalloc, kmem_cache_alloc, kmem_cache_create, kmem_cache_destroy, kmem_cache_free
from kmock.linux.types import Ptr
from kmock.linux.vmalloc import vfree, vmalloc
from kmock.sanitizers.object import SCAN_HELD
from kmock.sanitizers.reach import Index, living, reachable


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


def finish(k):
    k.shutdown()
    return list(k.reports)


class TestMemory:
    def test_nothing_left_nothing_said(self, k):
        kfree(kmalloc(64, GFP_KERNEL))
        vfree(vmalloc(64))
        gfp.__free_page(alloc_page(GFP_KERNEL))
        cache = kmem_cache_create("c", 64, 0, 0, None)
        kmem_cache_free(cache, kmem_cache_alloc(cache, GFP_KERNEL))
        kmem_cache_destroy(cache)
        assert not finish(k)

    def test_one_report_for_each_place(self, k):
        for _ in range(3):
            kmalloc(64, GFP_KERNEL)
        kmalloc(100, GFP_KERNEL)
        first, second = finish(k)
        assert first.attributes == {"count": 3, "total": 192, "size": 64}
        assert first.lines[-1] == "3 allocations, 192 bytes, never given back by kfree()"
        assert second.attributes["count"] == 1
        assert second.where.line == first.where.line + 1

    def test_a_pointer_makes_it_reachable(self, k):
        kept = [kmalloc(64, GFP_KERNEL)]
        kept[0].ptr[3] = kmalloc(64, GFP_KERNEL)
        assert {r.kind for r in finish(k)} == {"leak-reachable"}

    def test_without_a_pointer_it_is_lost(self, k):
        (report,) = (kmalloc(64, GFP_KERNEL) and None) or finish(k)
        assert report.kind == "leak-unreachable"
        assert report.headline.startswith("unreferenced object 0xffff8880")
        assert report.lines[1:3] == ("  hex dump (first 32 bytes):", report.lines[2])

    def test_other_memory_has_kinds_of_its_own(self, k):
        alloc_page(GFP_KERNEL)
        vmalloc(100)
        assert [r.kind for r in finish(k)] == ["page-leak", "vmalloc-leak"]

    def test_a_reference_too_many(self, k):
        page = alloc_page(GFP_KERNEL)
        get_page(page)
        gfp.__free_page(page)
        (report,) = finish(k)
        assert report.kind == "page-refcount-leak"

    def test_a_reference_given_back(self, k):
        page = alloc_page(GFP_KERNEL)
        get_page(page)
        gfp.__free_page(page)
        put_page(page)
        assert not finish(k)

    def test_what_a_kernel_object_holds_is_its_own_affair(self, k):
        kmalloc(64, GFP_KERNEL).origin.scan |= SCAN_HELD
        assert not finish(k)

    def test_shutting_down_twice_says_nothing_new(self, k):
        kmalloc(64, GFP_KERNEL)
        assert len(finish(k)) == len(finish(k)) == 1


class TestPhases:
    def test_the_call_answers_for_what_it_made(self, k):
        before = kmalloc(64, GFP_KERNEL)
        k.census.begin_call()
        kmalloc(32, GFP_KERNEL)
        k.census.end_call()
        assert [r.attributes["size"] for r in k.reports] == [32]
        kfree(before)
        assert len(finish(k)) == 1

    def test_checks_of_others_run_at_the_end(self, k):
        asked = []
        k.census.register(lambda: asked.append(k.down))
        finish(k)
        assert asked == [False]


class TestReach:
    def test_chains_and_interior_pointers(self, k):
        a, b = kmalloc(64, GFP_KERNEL), int(kmalloc(64, GFP_KERNEL))
        a[0:64] = bytes(64)
        a.u64[2] = b + 40
        everything = living(k)
        assert len(reachable(k, everything)) == 2
        a.u64[2] = b + 64
        assert len(reachable(k, everything)) == 1

    def test_words_are_pointers_in_size(self):
        with kmock.boot(arch="x86_32") as k:
            a, b = kmalloc(64, GFP_KERNEL), int(kmalloc(64, GFP_KERNEL))
            a[0:64] = bytes(64)
            a.u32[3] = b
            assert len(reachable(k, living(k))) == 2

    def test_the_end_is_outside(self, k):
        p = int(kmalloc(64, GFP_KERNEL))
        index = Index(living(k))
        assert [index.find(p + i) is not None for i in (-1, 0, 63, 64)] == [False, True, True, False]

    def test_a_pointer_of_another_kernel_is_none_of_ours(self, k):
        kmalloc(64, GFP_KERNEL)
        kept = []
        with kmock.boot() as other:
            kept.append(kmalloc(64, GFP_KERNEL))
            assert len(reachable(other, living(other))) == 1
            kfree(kept[0])
        assert kept[0] == living(k)[0].addr
        assert not reachable(k, living(k))

    def test_global_and_local_variables_count(self, k):
        a, b = int(kmalloc(64, GFP_KERNEL)), int(kmalloc(64, GFP_KERNEL))
        assert not reachable(k, living(k))
        k.image.data(16).u64[0] = a
        local = k.stack_buffer(16)
        local.u64[1] = b
        assert len(reachable(k, living(k))) == 2

    def test_a_number_made_a_pointer_counts(self, k):
        bare = Ptr(int(kmalloc(64, GFP_KERNEL)))
        assert len(reachable(k, living(k))) == 1
        assert bare


class TestExplained:
    """What a failed release left is part of that finding."""

    def test_memory_that_a_wrong_call_did_not_free(self, k):
        vfree(kmalloc(64, GFP_KERNEL))
        assert [report.kind for report in finish(k)] == ["vfree-of-kmalloc"]

    def test_a_kmalloc_object_freed_as_a_page(self, k):
        gfp.free_page(kmalloc(4096, GFP_KERNEL))
        assert [report.kind for report in finish(k)] == ["free-pages-of-kmalloc"]

    def test_a_local_variable_explains_nothing(self, k):
        kept = kmalloc(64, GFP_KERNEL)
        with k.expect("slab-free-non-heap"), pytest.raises(kmock.KernelOops):
            kfree(k.stack_buffer(8))
        assert kept
        assert [report.kind for report in finish(k)][1:] == ["leak-reachable"]
