"""Mapping device memory, and what can be done through a cookie."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.io import (
    MEMREMAP_WB,
    MEMREMAP_WC,
    ioread8,
    ioread32,
    ioremap,
    ioremap_cache,
    ioremap_wc,
    ioremap_wt,
    iounmap,
    iowrite16,
    iowrite32,
    memcpy_fromio,
    memcpy_toio,
    memremap,
    memset_io,
    memunmap,
    readb,
    readl,
    readl_relaxed,
    readq,
    readw,
    writeb,
    writel,
    writel_relaxed,
    writeq,
    writew,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.string import memcpy, memset
from kmock.linux.types import NULL
from kmock.linux.vmalloc import is_vmalloc_addr, vfree, vmalloc

BAR = 0xF000_0000


def kinds(k):
    return [report.kind for report in k.reports]


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        kernel.mmio(BAR, 0x2000)
        yield kernel


def test_cookie_keeps_the_offset(k):
    regs = ioremap(BAR + 0x10, 100)
    assert regs & 0xFFF == 0x10
    assert is_vmalloc_addr(regs)
    writel(0x1234_5678, regs)
    whole = ioremap(BAR, 0x2000)
    assert readl(whole + 0x10) == 0x1234_5678
    iounmap(whole)
    iounmap(regs)
    assert not k.reports


def test_every_width(k):
    regs = ioremap(BAR, 0x2000)
    writeq(0x1122_3344_5566_7788, regs)
    assert (readb(regs), readw(regs), readl(regs), readq(regs)) == (0x88, 0x7788, 0x5566_7788, 0x1122_3344_5566_7788)
    writeb(0x1FF, regs)
    writew(-1, regs + 2)
    writel_relaxed(0, regs + 4)
    assert readq(regs) == 0xFFFF_77FF
    assert readl_relaxed(regs) == ioread32(regs) == 0xFFFF_77FF
    iowrite16(0xABCD, regs + 8)
    iowrite32(1, regs + 12)
    assert (ioread8(regs + 9), readl(regs + 12)) == (0xAB, 1)
    iounmap(regs)
    assert not k.reports


def test_blocks(k):
    regs = ioremap(BAR, 0x2000)
    buf = kmalloc(64, GFP_KERNEL)
    memset(buf, 0, 64)
    memset_io(regs + 3, 0x41, 10)
    memcpy_fromio(buf, regs, 16)
    assert buf[0:16] == bytes(3) + b"A" * 10 + bytes(3)
    buf[0:5] = b"hello"
    memcpy_toio(regs + 0x101, buf, 5)
    memcpy_fromio(buf + 32, regs + 0x100, 8)
    assert buf[32:40] == b"\0hello\0\0"
    kfree(buf)
    iounmap(regs)
    assert not k.reports


@pytest.mark.parametrize("touch", [
    lambda regs, buf: regs[0],
    lambda regs, buf: regs[0:8],
    lambda regs, buf: memset(regs, 0, 16),
    lambda regs, buf: memcpy(buf, regs, 16),
    lambda regs, buf: memcpy(regs, buf, 16),
])  # fmt: skip
def test_plain_access_works_and_is_reported(k, touch):
    regs = ioremap(BAR, 0x1000)
    buf = kmalloc(16, GFP_KERNEL)
    memset(buf, 0x5A, 16)
    touch(regs, buf)
    assert kinds(k) == ["mmio-plain-access"]
    kfree(buf)
    iounmap(regs)


def test_plain_store_reaches_the_device(k):
    regs = ioremap(BAR, 0x1000)
    with k.expect("mmio-plain-access"):
        regs.u32[1] = 0x1234
    assert readl(regs + 4) == 0x1234
    iounmap(regs)


def test_beyond_what_was_mapped(k):
    regs = ioremap(BAR + 0x100, 0x20)
    with k.expect("mmio-out-of-range", 2):
        readl(regs + 0x20)
        readl(regs + 0x1E)
    with k.expect("mmio-out-of-range"), pytest.raises(kmock.KernelOops):
        readl(regs + 0xF00)
    iounmap(regs)


def test_before_what_was_mapped(k):
    regs = ioremap(BAR + 0x100, 0x20)
    readl(regs - 4)
    assert kinds(k) == ["mmio-out-of-range"]
    iounmap(regs)


def test_beyond_the_device(k):
    regs = ioremap(BAR, 0x4000)
    assert readl(regs + 0x2000) == 0
    assert kinds(k) == ["mmio-out-of-range"]
    iounmap(regs)


def test_where_nobody_answers(k):
    regs = ioremap(0xE000_0000, 0x1000)
    writel(1, regs)
    assert readl(regs) == 0
    iounmap(regs)
    assert not k.reports


def test_misaligned(k):
    regs = ioremap(BAR, 0x1000)
    readl(regs + 2)
    assert kinds(k) == ["mmio-unaligned-or-width"]
    iounmap(regs)


def test_after_iounmap(k):
    regs = ioremap(BAR, 0x1000)
    iounmap(regs)
    for touch in (readl, lambda p: p[0], lambda p: writel(1, p + 4)):
        with k.expect("mmio-after-unmap"), pytest.raises(kmock.KernelOops):
            touch(regs)


def test_stale_cookie_of_addresses_in_use_again(k):
    regs = ioremap(BAR, 0x1000)
    iounmap(regs)
    k.vmalloc.purge()
    again = ioremap(BAR, 0x1000)
    assert again == regs
    assert readl(regs) == 0
    assert kinds(k) == ["mmio-after-unmap"]
    iounmap(again)


def test_ordinary_memory_is_checked_as_such(k):
    buf = kmalloc(8, GFP_KERNEL)
    writel(7, buf)
    assert readl(buf) == 7
    with k.expect("slab-out-of-bounds-right"):
        writel(7, buf + 8)
    kfree(buf)


@pytest.mark.parametrize(("phys", "size"), [(BAR, 0), ((1 << 64) - 0x1000, 0x2000), (1 << 46, 0x1000)])
def test_ranges_that_cannot_be(k, phys, size):
    assert ioremap(phys, size) == NULL
    assert kinds(k) == ["ioremap-zero-or-wrap"]


def test_failed_mapping_used(k):
    k.faults.failslab(probability=100, times=1, ignore_gfp_wait=False)
    regs = ioremap(BAR, 0x1000)
    assert regs == NULL
    with k.expect("slab-null-unchecked"), pytest.raises(kmock.KernelOops):
        readl(regs + 4)


def test_ram(k):
    assert ioremap(0x100_0000, 0x1000) == NULL
    assert kinds(k) == ["ioremap-ram"]
    assert "ioremap on RAM at 0x0000000001000000 - 0x0000000001000fff" in k.dmesg()


def test_in_an_interrupt(k):
    with k.expect("ioremap-atomic"), pytest.raises(kmock.KernelPanic), k.hardirq():
        ioremap(BAR, 0x1000)
    assert "kernel BUG at mm/vmalloc.c:2554!" in k.dmesg()


def test_cache_attributes(k):
    first = ioremap_wc(BAR, 0x1000)
    second = ioremap(BAR, 0x1000)
    assert ioremap_wt(BAR, 0x1000) == NULL
    assert "ioremap error for 0xf0000000-0xf0001000, requested 0x4, got 0x1" in k.dmesg()
    other = ioremap(BAR + 0x1000, 0x1000)
    assert ioremap_cache(BAR, 0x2000) == NULL
    assert "ioremap memtype_reserve failed -16" in k.dmesg()
    assert kinds(k) == ["ioremap-attr-conflict"] * 2
    for cookie in (first, second, other):
        iounmap(cookie)
    assert ioremap_wt(BAR, 0x1000)


def test_iounmap_of_vmalloc_loses_its_pages(k):
    free = k.page_alloc.nr_free_pages
    p = vmalloc(4096)
    iounmap(p)
    assert kinds(k) == ["iounmap-of-vmalloc"]
    assert k.page_alloc.nr_free_pages == free - 1


def test_vfree_of_a_cookie_with_an_offset(k):
    regs = ioremap(BAR + 0x10, 4)
    vfree(regs)
    assert kinds(k) == ["vfree-of-ioremap"]


def test_kfree_of_a_cookie(k):
    with k.expect("slab-free-non-heap"), pytest.raises(kmock.KernelOops):
        kfree(ioremap(BAR, 0x1000))


def test_memremap_of_ram_is_the_direct_map(k):
    p = memremap(0x100_0000, 0x1000, MEMREMAP_WB)
    assert p == k.layout.page_offset + 0x100_0000
    memunmap(p)
    assert memremap(0x100_0000, 0x1000, MEMREMAP_WC) == NULL
    assert memremap(BAR, 0x1000, 0) == NULL
    assert kinds(k) == ["ioremap-ram"]


def test_memremap_is_for_plain_pointers(k):
    p = memremap(BAR, 0x100, MEMREMAP_WB)
    p[0:4] = b"abcd"
    assert p.u32[0] == 0x6463_6261
    assert not k.reports
    assert p[0x100] == 0
    assert kinds(k) == ["mmio-out-of-range"]
    memunmap(p)


@pytest.mark.parametrize("wrong", [
    lambda: memunmap(ioremap(BAR, 0x1000)),
    lambda: iounmap(memremap(BAR, 0x1000, MEMREMAP_WB)),
])  # fmt: skip
def test_memunmap_and_iounmap_are_not_the_same(k, wrong):
    wrong()
    assert kinds(k) == ["memunmap-mismatch"]


def test_mapping_left_behind():
    with kmock.boot() as k:
        ioremap(BAR, 0x1000)
        k.shutdown()
        assert kinds(k) == ["ioremap-leak"]


def test_kmemleak_knows_no_mappings(k):
    ioremap(BAR, 0x1000)
    k.advance(6)
    k.write_file("/sys/kernel/debug/kmemleak", "scan")
    k.write_file("/sys/kernel/debug/kmemleak", "scan")
    assert k.read_file("/sys/kernel/debug/kmemleak") == ""
