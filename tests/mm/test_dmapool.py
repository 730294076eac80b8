"""DMA pools: where blocks lie, in which order they are handed out, and every misuse that the header's functions know."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.device import device_release_driver, devres_release_all
from kmock.linux.dma_mapping import DMA_BIT_MASK
from kmock.linux.dmapool import (
    dma_pool_alloc,
    dma_pool_create,
    dma_pool_destroy,
    dma_pool_free,
    dma_pool_zalloc,
    dmam_pool_create,
    dmam_pool_destroy,
)
from kmock.linux.gfp import GFP_ATOMIC, GFP_KERNEL
from kmock.linux.irqflags import local_irq_disable, local_irq_enable
from kmock.linux.platform_device import (
    platform_device_register_simple,
    platform_device_unregister,
    platform_driver,
    platform_driver_register,
    platform_driver_unregister,
)
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.types import NULL, Struct, addressof, u32


@pytest.fixture(params=[{}, {"kasan": False}, {"iommu": True}], ids=["kasan", "debug", "iommu"])
def k(request):
    with kmock.boot(**request.param) as kernel:
        yield kernel
        kernel.shutdown()
        assert [str(r) for r in kernel.reports.unexpected] == []


@pytest.fixture
def dev(k):
    return k.device("ehci", dma_mask=DMA_BIT_MASK(32))


@pytest.fixture
def pool(k, dev):
    return dma_pool_create("qtd", dev, 64, 64, 0)


def pools(k):
    return k.read_file("/sys/devices/ehci/pools")


# -- what is right ------------------------------------------------------------------------------------


def test_blocks_are_seen_by_both(k, dev, pool):
    v, d = dma_pool_alloc(pool, GFP_KERNEL)
    v[0:64] = bytes(range(64))
    assert k.dma_read(dev, d, 64) == bytes(range(64))
    k.dma_write(dev, d + 8, b"device")
    assert v[8:14] == b"device"
    dma_pool_free(pool, v, d)
    dma_pool_destroy(pool)


def test_zalloc_zeroes_what_was_there(k, pool):
    v, d = dma_pool_alloc(pool, GFP_KERNEL)
    v[0:64] = b"x" * 64
    dma_pool_free(pool, v, d)
    v, d = dma_pool_zalloc(pool, GFP_KERNEL)
    assert v[0:64] == bytes(64)
    dma_pool_free(pool, v, d)
    dma_pool_destroy(pool)


def test_freed_last_comes_first_and_new_pages_come_in_front(k, pool):
    blocks = [dma_pool_alloc(pool, GFP_KERNEL) for _ in range(64)]
    assert [len(pool.pages), pool.pages[0].in_use, pool.pages[1].in_use] == [2, 1, 63]
    old = blocks.pop(5)
    dma_pool_free(pool, *old)
    again = dma_pool_alloc(pool, GFP_KERNEL)
    assert again != old  # the younger page has room
    blocks.append(again)
    for block in blocks:
        dma_pool_free(pool, *block)
    assert len(pool.pages) == 2  # empty pages stay
    dma_pool_destroy(pool)


def test_the_file_pools(k, dev, pool):
    other = dma_pool_create("a_pool_with_quite_a_long_name_indeed", dev, 100, 64, 0)
    block = dma_pool_alloc(other, GFP_KERNEL)
    assert pools(k) == (
        "poolinfo - 0.1\n"
        "a_pool_with_quite_a_long_name_i    1   32  128  1\n"
        "qtd                 0    0   64  0\n"
    )  # fmt: skip
    dma_pool_free(other, *block)
    dma_pool_destroy(other)
    assert "qtd" in pools(k)
    dma_pool_destroy(pool)
    with pytest.raises(FileNotFoundError):
        pools(k)


def test_no_block_crosses_the_boundary(k, dev):
    pool = dma_pool_create("qh", dev, 96, 32, 1024)
    blocks = [dma_pool_alloc(pool, GFP_KERNEL) for _ in range(30)]
    assert all(d // 1024 == (d + 95) // 1024 and d % 32 == 0 for _, d in blocks)
    for block in blocks:
        dma_pool_free(pool, *block)
    dma_pool_destroy(pool)


class holder(Struct):
    n: u32
    pool: kmock.linux.types.Ptr


def test_a_pool_behind_a_stored_pointer(k, pool):
    from kmock.linux.slab import kzalloc

    h = holder.at(kzalloc(16, GFP_KERNEL))
    h.pool = addressof(pool)
    v, d = dma_pool_alloc(h.pool, GFP_KERNEL)
    dma_pool_free(h.pool, v, d)
    dma_pool_destroy(h.pool)
    kfree(addressof(h))


def test_managed_pools_go_with_the_driver(k, dev):
    pool = dmam_pool_create("qtd", dev, 64, 64, 0)
    block = dma_pool_alloc(pool, GFP_KERNEL)
    dma_pool_free(pool, *block)
    devres_release_all(dev)
    assert not pool.live


def test_managed_pools_may_go_before(k, dev):
    pool = dmam_pool_create("qtd", dev, 64, 64, 0)
    dmam_pool_destroy(pool)
    assert not pool.live


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_creation_without_memory(k, dev, nth):
    k.faults.failslab(probability=100, times=1, interval=1, space=0, ignore_gfp_wait=False)
    assert not (dmam_pool_create if nth == 2 else dma_pool_create)("qtd", dev, 64, 64, 0)
    k.faults.clear()


def test_allocation_without_memory(k, pool):
    k.faults.failslab(probability=100, times=1, ignore_gfp_wait=False)
    assert dma_pool_alloc(pool, GFP_KERNEL) == (NULL, 0)
    k.faults.clear()
    k.faults.fail_page_alloc(probability=100, times=-1, min_order=0, ignore_gfp_wait=False)
    assert dma_pool_alloc(pool, GFP_ATOMIC) == (NULL, 0)
    k.faults.clear()
    dma_pool_destroy(pool)


def test_null_pool_is_nothing_to_destroy(k):
    dma_pool_destroy(NULL)
    dma_pool_destroy(None)


# -- misuse -------------------------------------------------------------------------------------------


def test_null_pool(k):
    with k.expect("null-deref"), pytest.raises(kmock.KernelOops):
        dma_pool_alloc(NULL, GFP_KERNEL)


def test_no_device(k):
    with k.expect("dma-null-device"), pytest.raises(kmock.KernelOops):
        dma_pool_create("qtd", None, 64, 64, 0)
    with k.expect("leak-*"):
        k.shutdown()


@pytest.mark.parametrize("shape", [(0, 8, 0), (64, 3, 0), (64, 64, 32), (64, 64, 96)])
def test_bad_arguments(k, dev, shape):
    with k.expect("dma-pool-create-bad", count=1):
        assert not dma_pool_create("qtd", dev, *shape)


def test_busy_pool(k, dev, pool):
    v, d = dma_pool_alloc(pool, GFP_KERNEL)
    with k.expect("dma-pool-destroy-busy", count=1) as found:
        dma_pool_destroy(pool)
    assert found[0].headline == f"ehci ehci: dma_pool_destroy qtd, {int(v):016x} busy"
    v[0] = 1  # the memory is never given to anybody
    k.dma_write(dev, d, b"x")


def test_use_after_destroy(k, pool):
    v, d = dma_pool_alloc(pool, GFP_KERNEL)
    dma_pool_free(pool, v, d)
    dma_pool_destroy(pool)
    with k.expect("slab-use-after-free-read"), k.expect("null-deref"), pytest.raises(kmock.KernelOops):
        dma_pool_alloc(pool, GFP_KERNEL)
    with k.expect("dma-pool-*", count=0), k.expect("null-deref"), pytest.raises(kmock.KernelOops):
        dma_pool_free(pool, v, d)


def test_destroyed_twice(k, pool):
    dma_pool_destroy(pool)
    with k.expect("slab-use-after-free-read", count=1):
        dma_pool_destroy(pool)


def test_managed_and_destroyed_by_hand(k, dev):
    pool = dmam_pool_create("qtd", dev, 64, 64, 0)
    dma_pool_destroy(pool)
    with k.expect("devm-mixed-double-release", count=1):
        devres_release_all(dev)


def test_unmanaged_pool_to_the_managed_call(k, pool):
    with k.expect("dma-pool-managed-mismatch", count=1) as found:
        dmam_pool_destroy(pool)
    assert "at mm/dmapool.c:527 dmam_pool_destroy" in found[0].headline
    assert pool.live
    dma_pool_destroy(pool)


def test_wrong_pool(k, dev, pool):
    other = dma_pool_create("qh", dev, 96, 32, 0)
    v, d = dma_pool_alloc(pool, GFP_KERNEL)
    with k.expect("dma-pool-wrong-pool", count=1) as found:
        dma_pool_free(other, v, d)
    assert found[0].headline == f"ehci ehci: dma_pool_free qh, {int(v):016x}/{d:#018x} (bad dma)"
    dma_pool_free(pool, v, d)
    dma_pool_destroy(other)
    dma_pool_destroy(pool)


def test_wrong_bus_address(k, pool):
    v, d = dma_pool_alloc(pool, GFP_KERNEL)
    with k.expect("dma-pool-addr-mismatch", count=1):
        dma_pool_free(pool, v, 0)
    dma_pool_free(pool, v, d)
    dma_pool_destroy(pool)


def test_pair_of_two_blocks(k, pool):
    (v, d), (w, e) = (dma_pool_alloc(pool, GFP_KERNEL) for _ in range(2))
    with k.expect("dma-pool-addr-mismatch", count=1) as found:
        dma_pool_free(pool, w, d)
    if not k.config.kasan:
        assert found[0].headline == f"ehci ehci: dma_pool_free qtd, {int(w):016x} (bad vaddr)/{d:#018x}"
        dma_pool_free(pool, w, e)
    dma_pool_free(pool, v, d)
    dma_pool_destroy(pool)


def test_inside_of_a_block(k, pool):
    v, d = dma_pool_alloc(pool, GFP_KERNEL)
    with k.expect("dma-pool-addr-mismatch", count=1), k.expect("dma-pool-destroy-busy", count=0):
        dma_pool_free(pool, v + 8, d + 8)
    dma_pool_destroy(pool)


def test_kmalloc_memory_to_the_pool(k, pool):
    p = kmalloc(64, GFP_KERNEL)
    with k.expect("kfree-of-dma-pool", count=1):
        dma_pool_free(pool, p, 0x1000)
    kfree(p)
    dma_pool_destroy(pool)


def test_double_free(k, pool):
    v, d = dma_pool_alloc(pool, GFP_KERNEL)
    dma_pool_free(pool, v, d)
    with k.expect("dma-pool-double-free", count=1) as found:
        dma_pool_free(pool, v, d)
    if not k.config.kasan:
        assert found[0].headline == f"ehci ehci: dma_pool_free qtd, dma {d:#018x} already free"
    dma_pool_destroy(pool)


def test_double_free_of_what_has_a_new_owner(k, pool):
    v, d = dma_pool_alloc(pool, GFP_KERNEL)
    dma_pool_free(pool, v, d)
    w, e = dma_pool_alloc(pool, GFP_KERNEL)
    assert w == v
    with k.expect("dma-pool-double-free", count=1) as found:
        dma_pool_free(pool, v, d)
    assert "new owner" in found[0].lines[0]
    w[0] = 1  # lost memory is part of the same finding
    assert e == d
    dma_pool_destroy(pool)


def test_the_free_chain_is_memory(k, pool):
    v, d = dma_pool_alloc(pool, GFP_KERNEL)
    dma_pool_free(pool, v, d)
    with k.expect("dma-pool-write-after-free", count=1):
        v.le32[0] = 1024
    w, e = dma_pool_alloc(pool, GFP_KERNEL)
    x, f = dma_pool_alloc(pool, GFP_KERNEL)
    assert (w, x) == (v, v + 1024)
    dma_pool_free(pool, w, e)
    dma_pool_free(pool, x, f)
    dma_pool_destroy(pool)


def test_poison_is_looked_at_in_a_debug_kernel():
    with kmock.boot(kasan=False) as k:
        dev = k.device("ehci", dma_mask=DMA_BIT_MASK(32))
        pool = dma_pool_create("qtd", dev, 64, 64, 0)
        v, d = dma_pool_alloc(pool, GFP_KERNEL)
        assert v[4:64] == b"\xa9" * 60
        dma_pool_free(pool, v, d)
        k.mem.poke(int(v) + 20, b"\x12")  # from where nobody sees it
        with k.expect("dma-pool-write-after-free", count=1) as found:
            block = dma_pool_alloc(pool, GFP_KERNEL)
        assert found[0].headline == f"ehci ehci: dma_pool_alloc qtd, {int(v):016x} (corrupted)"
        assert found[0].lines[1] == "00000010: a7 a7 a7 a7 12 a7 a7 a7 a7 a7 a7 a7 a7 a7 a7 a7  ................"
        dma_pool_free(pool, *block)
        dma_pool_destroy(pool)


def test_the_device_is_not_done(k, dev, pool):
    v, d = dma_pool_zalloc(pool, GFP_KERNEL)
    dma_pool_free(pool, v, d)
    with k.expect("dma-pool-device-after-free", count=1) as found:
        k.dma_read(dev, d, 16)
    assert {"allocated", "freed"} < set(found[0].stacks)
    dma_pool_destroy(pool)


def test_the_device_reads_what_nobody_wrote(k, dev, pool):
    v, d = dma_pool_alloc(pool, GFP_KERNEL)
    v[0:8] = bytes(8)
    k.dma_read(dev, d, 8)
    k.dma_write(dev, d + 8, bytes(8))
    k.dma_read(dev, d, 16)
    with k.expect("dma-pool-uninit", count=1):
        k.dma_read(dev, d, 32)
    dma_pool_free(pool, v, d)
    dma_pool_destroy(pool)


def test_sleeping_calls_under_a_lock(k, dev, pool):
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    with k.expect("dma-pool-atomic"):
        other = dma_pool_create("qh", dev, 64, 64, 0)
    spin_unlock(lock)
    spin_lock(lock)
    with k.expect("dma-pool-atomic", count=1) as found:
        dma_pool_destroy(other)
    spin_unlock(lock)
    assert found[0].headline.endswith("at kernel/locking/mutex.c:580")
    dma_pool_destroy(pool)


def test_destroy_with_interrupts_off(k, pool):
    dma_pool_free(pool, *dma_pool_alloc(pool, GFP_KERNEL))
    local_irq_disable()
    with k.expect("dma-pool-atomic"), k.expect("dma-free-irqs-off"):
        dma_pool_destroy(pool)
    local_irq_enable()


def test_pool_left_by_its_driver(k):
    def probe(pdev):
        pdev.dev.coherent_dma_mask = DMA_BIT_MASK(32)
        made.append(dma_pool_create("qtd", pdev.dev, 64, 64, 0))
        dma_pool_free(made[0], *dma_pool_alloc(made[0], GFP_KERNEL))
        return 0

    made = []
    drv = platform_driver(probe=probe, driver={"name": "ehci"})
    platform_driver_register(drv)
    pdev = platform_device_register_simple("ehci", -1, None, 0)
    with k.expect("dma-pool-leak", count=1) as found:
        device_release_driver(pdev.dev)
    assert found[0].where.function == "probe"
    platform_device_unregister(pdev)
    platform_driver_unregister(drv)
