"""Pools of special memory: where they put things, and how they go."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from kmock import KernelOops
from kmock.linux.device import devres_release_all
from kmock.linux.err import PTR_ERR
from kmock.linux.genalloc import (
    devm_gen_pool_create,
    gen_pool_add,
    gen_pool_add_virt,
    gen_pool_alloc,
    gen_pool_alloc_algo,
    gen_pool_avail,
    gen_pool_best_fit,
    gen_pool_create,
    gen_pool_destroy,
    gen_pool_dma_alloc,
    gen_pool_dma_zalloc,
    gen_pool_first_fit_align,
    gen_pool_first_fit_order_align,
    gen_pool_fixed_alloc,
    gen_pool_free,
    gen_pool_get,
    gen_pool_has_addr,
    gen_pool_set_algo,
    gen_pool_size,
    gen_pool_virt_to_phys,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.types import NULL

if TYPE_CHECKING:
    from kmock import Kernel

BASE = 0xF000_0000


@pytest.fixture
def pool(kernel: Kernel):
    made = gen_pool_create(5, -1)
    gen_pool_add(made, BASE, 1024, -1)
    return made


def test_gives_units(kernel: Kernel, pool) -> None:
    p, q = gen_pool_alloc(pool, 33), gen_pool_alloc(pool, 1)
    assert (p, q) == (BASE, BASE + 64)
    assert (gen_pool_avail(pool), gen_pool_size(pool)) == (1024 - 96, 1024)
    assert gen_pool_alloc(pool, 1024) == NULL
    assert gen_pool_alloc(pool, 0) == NULL
    gen_pool_free(pool, p, 33)
    assert gen_pool_alloc(pool, 64) == p


def test_algorithms(kernel: Kernel, pool) -> None:
    gen_pool_alloc(pool, 32)
    assert gen_pool_alloc_algo(pool, 32, gen_pool_first_fit_align, 256) == BASE + 256
    assert gen_pool_alloc_algo(pool, 96, gen_pool_first_fit_order_align, None) == BASE + 128
    assert gen_pool_alloc_algo(pool, 32, gen_pool_fixed_alloc, 512) == BASE + 512
    assert gen_pool_alloc_algo(pool, 32, gen_pool_fixed_alloc, 512) == NULL
    gen_pool_set_algo(pool, gen_pool_best_fit, None)
    assert gen_pool_alloc(pool, 32) == BASE + 224


def test_knows_physical_addresses(kernel: Kernel) -> None:
    memory = kmalloc(256, GFP_KERNEL)
    pool = gen_pool_create(4, -1)
    gen_pool_add_virt(pool, memory, 0x8000, 256, -1)
    gen_pool_alloc(pool, 16)
    vaddr, dma = gen_pool_dma_alloc(pool, 16)
    assert (vaddr, dma) == (memory + 16, 0x8010)
    memory[32:64] = b"x" * 32
    vaddr, dma = gen_pool_dma_zalloc(pool, 32)
    assert vaddr[0:32] == bytes(32)
    assert gen_pool_virt_to_phys(pool, vaddr) == dma == 0x8020
    assert gen_pool_virt_to_phys(pool, 0) == (1 << 64) - 1
    assert gen_pool_has_addr(pool, memory, 256)
    assert not gen_pool_has_addr(pool, memory, 257)
    assert gen_pool_dma_alloc(None, 1) == (NULL, 0)
    kfree(memory)


def test_managed(kernel: Kernel) -> None:
    dev = kernel.device("dev")
    pool = devm_gen_pool_create(dev, 5, -1, "sram")
    assert gen_pool_get(dev, "sram") is pool
    assert gen_pool_get(dev, "other") is None
    assert PTR_ERR(devm_gen_pool_create(dev, 5, -1, "sram")) == -errno.EINVAL
    devres_release_all(dev)
    assert kernel.genpools.pools == []


def test_misuse(kernel: Kernel, pool) -> None:
    p = gen_pool_alloc(pool, 64)
    with kernel.expect("free-size-mismatch"):
        gen_pool_free(pool, p, 32)
    with kernel.expect("slab-double-free"), pytest.raises(KernelOops):
        gen_pool_free(pool, p, 64)
    with kernel.expect("free-size-mismatch"), pytest.raises(KernelOops):
        gen_pool_free(pool, p, 4096)
    with kernel.expect("alloc-free-node-mixup"), pytest.raises(KernelOops):
        gen_pool_free(pool, 0x1234, 32)
    gen_pool_destroy(pool)


def test_without_memory(kernel: Kernel, pool) -> None:
    kernel.faults.fail_nth(1)
    assert gen_pool_create(5, -1) == NULL
    kernel.faults.fail_nth(1)
    assert gen_pool_add(pool, BASE + 4096, 1024, -1) == -errno.ENOMEM
