"""Copies that ``CONFIG_HARDENED_USERCOPY`` stops, by what the kernel side points to."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import __GFP_COMP, GFP_HIGHUSER, GFP_KERNEL, __free_page, __free_pages, alloc_page, alloc_pages
from kmock.linux.highmem import kmap, kunmap
from kmock.linux.mm import page_address
from kmock.linux.slab import ZERO_SIZE_PTR, kfree, kmalloc
from kmock.linux.types import NULL, Ptr
from kmock.linux.uaccess import copy_from_user, copy_to_user
from kmock.linux.vmalloc import vfree, vzalloc


@pytest.fixture
def k():
    with kmock.boot(kasan=False) as k:
        yield k
    assert not k.reports.unexpected


def aborts(k, kind, copy, text):
    with k.expect(kind, count=1) as found, pytest.raises(kmock.KernelOops):
        copy()
    assert found[0].headline == f"usercopy: Kernel memory {text}!"
    assert "kernel BUG at mm/usercopy.c:101!" in k.dmesg()


def test_nothing(k):
    u = k.user().buffer(64)
    what = "exposure attempt detected from null address"
    aborts(k, "null-deref", lambda: copy_to_user(u, NULL, 8), f"{what} (offset 0, size 8)")
    aborts(k, "slab-zero-size-deref", lambda: copy_to_user(u, ZERO_SIZE_PTR, 8), f"{what} (offset 16, size 8)")


def test_the_end_of_memory(k):
    u = k.user().buffer(64)
    last = Ptr((1 << 64) - 8)
    aborts(
        k, "usercopy-overflow-object", lambda: copy_from_user(last, u, 16),
        "overwrite attempt detected to wrapped address (offset 0, size 8)",
    )  # fmt: skip


def test_a_compound_page(k):
    u = k.user().buffer(16384)
    page = alloc_pages(GFP_KERNEL | __GFP_COMP, 1)
    p = page_address(page)
    assert copy_from_user(p, u, 8192) == 0
    aborts(
        k, "usercopy-overflow-object", lambda: copy_from_user(p + 4096, u, 4097),
        "overwrite attempt detected to page alloc (offset 4096, size 4097)",
    )  # fmt: skip
    __free_pages(page, 1)


def test_pages_that_are_no_compound_page_are_not_looked_at(k):
    u = k.user().buffer(16384)
    page = alloc_pages(GFP_KERNEL, 1)
    with k.expect("usercopy-overflow-object") as found:
        copy_from_user(page_address(page), u, 8193)
    assert "usercopy:" not in found[0].headline
    __free_pages(page, 1)


def test_vmalloc_ends_behind_its_guard_page(k):
    u = k.user().buffer(16384)
    p = vzalloc(4096)
    aborts(
        k, "usercopy-overflow-object", lambda: copy_to_user(u, p + 8, 8185),
        "exposure attempt detected from vmalloc (offset 8, size 8185)",
    )  # fmt: skip
    vfree(p)
    nowhere = Ptr(k.layout.vmalloc_end - (1 << 40))
    aborts(
        k, "wild-pointer-deref", lambda: copy_to_user(u, nowhere, 8),
        "exposure attempt detected from vmalloc 'no area' (offset 0, size 8)",
    )  # fmt: skip


def test_the_stack(k):
    u = k.user().buffer(65536)
    local = k.stack_buffer(64)
    with k.expect("usercopy-overflow-object") as found, pytest.raises(kmock.KernelOops):
        copy_from_user(local, u, 40000)
    assert "overwrite attempt detected to process stack (offset 0, size 40000)!" in found[0].headline


def test_text(k):
    u = k.user().buffer(64)
    code = k.image.text("driver_open")
    with k.expect("usercopy-overflow-object") as found, pytest.raises(kmock.KernelOops):
        copy_to_user(u, code, 8)
    assert "exposure attempt detected from kernel text (offset 0, size 8)!" in found[0].headline


def test_a_kmap_window():
    with kmock.boot(kasan=False, arch="x86_32", memory="1G") as k:
        u = k.user().buffer(8192)
        page = alloc_page(GFP_HIGHUSER)
        p = kmap(page)
        with k.expect("usercopy-overflow-object") as found, pytest.raises(kmock.KernelOops):
            copy_from_user(p + 96, u, 4096)
        assert "detected to kmap (offset 96, size 4096)!" in found[0].headline
        kunmap(page)
        __free_page(page)
    assert not k.reports.unexpected


def test_with_kasan_the_copy_tells_itself():
    with kmock.boot() as k:
        u = k.user().buffer(64)
        small = kmalloc(8, GFP_KERNEL)
        with k.expect("usercopy-overflow-object") as found:
            assert copy_from_user(small, u, 16) == 0
        assert found[0].headline.startswith("BUG: KASAN: ")
        kfree(small)
