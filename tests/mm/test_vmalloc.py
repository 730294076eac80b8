"""vmalloc: areas of single pages, their guard pages, and memory that may come from either allocator."""

from __future__ import annotations

from itertools import pairwise

import pytest

import kmock
from kmock.linux.gfp import __GFP_NOWARN, __GFP_ZERO, GFP_KERNEL, GFP_NOWAIT
from kmock.linux.slab import kfree, kmalloc, kvcalloc, kvfree, kvfree_sensitive, kvmalloc, kvrealloc, kvzalloc
from kmock.linux.types import NULL
from kmock.linux.vmalloc import is_vmalloc_addr, vfree, vmalloc, vmalloc_to_page, vmalloc_to_pfn, vzalloc
from kmock.mm import util


def kinds(k):
    return [report.kind for report in k.reports]


def test_area_is_made_of_real_pages():
    with kmock.boot() as k:
        p = vmalloc(10000)
        assert is_vmalloc_addr(p)
        p[4090:4110] = bytes(range(20))
        page = vmalloc_to_page(p + 4096)
        assert k.ram.bytes[page.phys : page.phys + 14].tobytes() == bytes(range(6, 20))
        assert vmalloc_to_pfn(p + 4096) == page.pfn
        assert vmalloc_to_page(p + 3 * 4096) == NULL
        vfree(p)
        assert vmalloc_to_page(p) == NULL
        assert not k.reports


def test_pages_come_back():
    with kmock.boot() as k:
        vfree(vmalloc(1 << 20))
        k.page_alloc.drain_all_pages()
        before = k.page_alloc.nr_free_pages
        p = vzalloc(1 << 20)
        assert p[0:16] == bytes(16)
        vfree(p)
        k.page_alloc.drain_all_pages()
        assert k.page_alloc.nr_free_pages == before


def test_areas_do_not_overlap_and_addresses_come_back_after_a_purge():
    with kmock.boot() as k:
        areas = [vmalloc(n * 4096) for n in (1, 2, 3)]
        spans = sorted((int(p), p.origin.top) for p in areas)
        assert all(a[1] <= b[0] for a, b in pairwise(spans))
        first = int(areas[0])
        for p in areas:
            vfree(p)
        assert int(vmalloc(4096)) != first
        k.vmalloc.purge()
        assert int(vmalloc(4096)) == first
        k.vmalloc.purge()
        assert len(k.vmalloc.living()) == 2
        for area in k.vmalloc.living():
            k.vmalloc.remove(area)


def test_guard_page_faults():
    with kmock.boot() as k:
        p = vmalloc(4096)
        with pytest.raises(kmock.KernelOops):
            p[4096] = 1
        assert kinds(k) == ["vmalloc-out-of-bounds"]
        vfree(p)


def test_stale_area_faults():
    with kmock.boot() as k:
        p = vmalloc(4096)
        vfree(p)
        with pytest.raises(kmock.KernelOops):
            p[0]
        assert kinds(k) == ["vmalloc-use-after-free"]


def test_too_large_for_the_machine():
    with kmock.boot() as k:
        assert not vmalloc(1 << 30)
        assert "exceeds total pages" in k.dmesg()
        assert not k.reports


def test_vmalloc_in_interrupt_is_a_bug():
    with kmock.boot() as k:
        with pytest.raises(kmock.KernelPanic), k.hardirq():
            vmalloc(4096)
        assert kinds(k)[-1] == "vmalloc-atomic"


def test_kvmalloc_takes_what_fits():
    with kmock.boot() as k:
        small, large = kvmalloc(100, GFP_KERNEL), kvmalloc(8 << 20, GFP_KERNEL)
        assert [is_vmalloc_addr(p) for p in (small, large)] == [False, True]
        assert not kvmalloc(8 << 20, GFP_NOWAIT)
        assert not kvmalloc(1 << 32, GFP_KERNEL | __GFP_NOWARN)
        kvfree(small)
        kvfree(large)
        kvfree(NULL)
        assert not k.reports


def test_kvrealloc_and_its_kin():
    with kmock.boot() as k:
        p = kvzalloc(100, GFP_KERNEL)
        p[0:3] = b"abc"
        q = kvrealloc(p, 100, 9000, GFP_KERNEL)
        assert q[0:4] == b"abc\0"
        assert kvrealloc(q, 9000, 10, GFP_KERNEL) == q
        kvfree_sensitive(q, 9000)
        assert not kvcalloc(1 << 40, 1 << 40, GFP_KERNEL)
        assert not k.reports


def test_kvmalloc_memory_given_to_vfree():
    with kmock.boot() as k:
        p = kvmalloc(8 << 20, GFP_KERNEL | __GFP_ZERO)
        vfree(p)
        assert kinds(k) == ["kvfree-mismatch"]


def test_kmalloc_memory_given_to_kvfree_is_fine():
    with kmock.boot() as k:
        kvfree(kmalloc(64, GFP_KERNEL))
        assert not k.reports


def test_copies():
    with kmock.boot() as k:
        p = util.kstrdup(k, "name", GFP_KERNEL)
        assert p[0:5] == b"name\0"
        q = util.kmemdup(k, p, 4, GFP_KERNEL)
        assert q[0:4] == b"name"
        r = util.kstrndup(k, p, 2, GFP_KERNEL)
        assert r[0:3] == b"na\0"
        n = util.kmemdup_nul(k, p, 3, GFP_KERNEL)
        assert n[0:4] == b"nam\0"
        assert util.kstrdup_const(k, "literal", GFP_KERNEL) == "literal"
        assert util.kstrdup(k, None, GFP_KERNEL) == NULL
        for x in (p, q, r, n):
            kfree(x)
        assert not k.reports


def test_copies_from_users():
    with kmock.boot() as k:
        u = k.user().buffer(b"from user\0")
        p = util.memdup_user(k, u, 9)
        assert p[0:9] == b"from user"
        q = util.memdup_user_nul(k, u, 4)
        assert q[0:5] == b"from\0"
        s = util.strndup_user(k, u, 100)
        assert s[0:10] == b"from user\0"
        assert util.strndup_user(k, u, 4) == (1 << 64) - 22
        assert util.memdup_user(k, 0, 9) == (1 << 64) - 14
        for x in (p, q, s):
            kfree(x)
