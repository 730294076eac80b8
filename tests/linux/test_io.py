"""``<asm/io.h>``: addresses of the direct map."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import GFP_DMA, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.io import page_to_phys, phys_to_virt, virt_to_phys
from kmock.linux.mm import page_address, page_to_pfn
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.vmalloc import vfree, vmalloc


def test_there_and_back():
    with kmock.boot() as k:
        p = kmalloc(100, GFP_KERNEL | GFP_DMA)
        assert virt_to_phys(p) < 16 << 20
        assert phys_to_virt(virt_to_phys(p)) == p
        kfree(p)
        page = alloc_page(GFP_KERNEL)
        assert page_to_phys(page) == page_to_pfn(page) << 12 == virt_to_phys(page_address(page))
        __free_page(page)
        assert not k.reports


def test_vmalloc_memory_has_no_physical_address():
    with kmock.boot() as k:
        p = vmalloc(100)
        with k.expect("virt-to-page-bad"), pytest.raises(kmock.KernelOops):
            virt_to_phys(p)
        vfree(p)
