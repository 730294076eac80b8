"""kmap() and its kin, on machines with and without highmem."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import GFP_HIGHUSER, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.highmem import (
    clear_highpage,
    copy_highpage,
    kmap,
    kmap_atomic,
    kmap_local_page,
    kmap_local_pfn,
    kunmap,
    kunmap_atomic,
    kunmap_local,
    memcpy_from_page,
    memcpy_to_page,
    memset_page,
    zero_user,
)
from kmock.linux.mm import PageHighMem, page_address, page_to_pfn
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.types import Ptr


@pytest.fixture(params=["default", "highmem"])
def k(request):
    with kmock.boot(machine=request.param) as machine:
        yield machine


@pytest.fixture
def page(k):
    page = alloc_page(GFP_HIGHUSER)
    yield page
    if not k.down:
        __free_page(page)


def test_only_pages_above_the_direct_map_are_highmem(k, page):
    assert PageHighMem(page) == (k.config.arch == "x86_32")
    low = alloc_page(GFP_KERNEL)
    assert not PageHighMem(low)
    __free_page(low)


def test_two_mappings_show_the_same_bytes(k, page):
    long = kmap(page)
    short = kmap_local_page(page)
    long[0:4] = b"abcd"
    assert short[0:4] == b"abcd"
    assert (long == short) == (k.config.arch == "x86_64")
    kunmap_local(short)
    kunmap(page)
    assert not k.reports


def test_a_window_lasts_as_long_as_its_mappings(k, page):
    first = kmap(page)
    assert kmap(page) == first
    kunmap(page)
    first[0] = 1
    assert page_address(page) == first
    kunmap(page)
    assert not k.reports
    if k.config.arch == "x86_32":
        with pytest.raises(kmock.KernelOops):
            first[0] = 2


def test_kmap_atomic_forbids_sleeping(k, page):
    window = kmap_atomic(page)
    assert k.cpu.preempt_count == 1
    assert k.current.pagefault_disabled == 1
    kfree(kmalloc(64, GFP_KERNEL))
    kunmap_atomic(window)
    assert k.cpu.preempt_count == 0
    assert [r.kind for r in k.reports] == ["kmap-atomic-sleep"]


def test_out_of_order_unmapping_is_what_the_kernel_warns_of(k, page):
    other = alloc_page(GFP_HIGHUSER)
    first, second = kmap_local_page(page), kmap_local_pfn(page_to_pfn(other))
    kunmap_local(first)
    kunmap_local(second)
    __free_page(other)
    [report] = k.reports
    assert report.kind == "kmap-local-order"
    assert ("mm/highmem.c:610" in report.headline) == (k.config.arch == "x86_32")


def test_whole_pages(k, page):
    other = alloc_page(GFP_HIGHUSER)
    buf = kmalloc(16, GFP_KERNEL)
    buf[0:16] = bytes(range(16))
    clear_highpage(page)
    memcpy_to_page(page, 4080, buf, 16)
    copy_highpage(other, page)
    memset_page(other, 0, 7, 8)
    zero_user(other, 0, 4)
    memcpy_from_page(buf, other, 0, 16)
    assert buf[0:16] == bytes(4) + b"\x07" * 4 + bytes(8)
    memcpy_from_page(buf, other, 4080, 16)
    assert buf[0:16] == bytes(range(16))
    kfree(buf)
    __free_page(other)
    assert not k.reports


def test_beyond_the_page_is_a_bug(k, page):
    with pytest.raises(kmock.KernelOops) as oops:
        memset_page(page, 4090, 0, 10)
    assert oops.value.report.headline == "kernel BUG at include/linux/highmem.h:382!"


def test_an_address_without_provenance_reaches_the_page_too(k, page):
    window = Ptr(int(kmap(page)))
    window[0:4] = b"abcd"
    assert window[0:4] == b"abcd"
    kunmap(page)
    assert not k.reports


def test_what_is_left_mapped_is_reported(k, page):
    kmap(page)
    kmap_local_page(page)
    __free_page(page)
    k.shutdown()
    assert sorted(r.kind for r in k.reports) == ["kmap-leak", "kmap-leak"]


def test_windows_run_out_in_a_hang():
    with kmock.boot(machine="highmem") as k:
        pages = [alloc_page(GFP_HIGHUSER) for _ in range(513)]
        for page in pages[:-1]:
            kmap(page)
        with pytest.raises(kmock.Deadlock):
            kmap(pages[-1])
        for page in pages:
            kunmap(page)
            __free_page(page)
        assert [r.kind for r in k.reports] == ["hang"]
