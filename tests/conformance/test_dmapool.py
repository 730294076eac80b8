"""Area dmapool, and what area dma has of pools: what a real kernel's DMA pools did."""

from __future__ import annotations

import pytest

from kmock.linux.device import device_release_driver
from kmock.linux.dma_mapping import DMA_BIT_MASK, dma_set_mask_and_coherent, dmam_alloc_coherent
from kmock.linux.dmapool import (
    dma_pool_alloc,
    dma_pool_create,
    dma_pool_destroy,
    dma_pool_free,
    dma_pool_zalloc,
    dmam_pool_create,
)
from kmock.linux.gfp import GFP_ATOMIC, GFP_KERNEL
from kmock.linux.io import virt_to_phys
from kmock.linux.mm import offset_in_page, page_to_nid, page_zonenum, virt_to_page
from kmock.linux.platform_device import (
    platform_device_register_simple,
    platform_device_unregister,
    platform_driver,
    platform_driver_register,
)
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.string import memchr_inv, memset
from kmock.linux.types import NULL
from tests.conformance.replay import scenario

REFUSED = "a pool that can't be is the driver's mistake, which the kernel answers with NULL alone"


def device(k):
    """The recordings' device: on the platform bus, without a driver."""
    dev = platform_device_register_simple("oracle-dma", -1, None, 0).dev
    dma_set_mask_and_coherent(dev, DMA_BIT_MASK(32))
    return dev


def bound():
    """A platform device "orc" with a driver."""
    platform_driver_register(platform_driver(probe=lambda _: 0, driver={"name": "orc"}))
    return platform_device_register_simple("orc", 0, None, 0)


def form(key):
    """``s64_a64_b0``: size, alignment and boundary."""
    return [int(part[1:]) for part in key.split("_")]


@scenario("dmapool.create-arguments", more_reports=REFUSED)
def create_arguments(k, s):
    dev = device(k)
    for key in s.observed:
        p = dma_pool_create("t", dev, *form(key))
        s.check(key, p)
        dma_pool_destroy(p)
    dma_pool_destroy(NULL)


@scenario("dmapool.block-offsets", "dmapool.block-offsets--plain")
def block_offsets(k, s):
    dev = device(k)
    for key in s.observed:
        p = dma_pool_create("t", dev, *form(key))
        v, first = dma_pool_alloc(p, GFP_KERNEL)
        blocks = [(v, first)]
        page = len(p.pages)
        while True:
            v, d = dma_pool_alloc(p, GFP_KERNEL)
            if len(p.pages) > page:
                break
            blocks.append((v, d))
        offsets = [d - first for _, d in blocks]
        s.check(key, {
            "blocks_per_page": len(offsets),
            "first_offset_in_page": offset_in_page(blocks[0][0]),
            "offsets": offsets[:20],
            "last_offset": offsets[-1],
        })  # fmt: skip
        for block in [*blocks, (v, d)]:
            dma_pool_free(p, *block)
        dma_pool_destroy(p)


@scenario("dmapool.huge-block")
def huge_block(k, s):
    p = dma_pool_create("huge", device(k), 8 << 20, 8, 0)
    s.check("p", p)
    s.check("v", dma_pool_alloc(p, GFP_KERNEL)[0])
    dma_pool_destroy(p)


ZONES = ("DMA", "DMA32", "Normal")


@scenario("dmapool.basic", "dmapool.basic--numa")
def basic(k, s):
    p = dma_pool_create("basic", device(k), 64, 64, 0)
    v, d = zip(*(dma_pool_alloc(p, GFP_KERNEL) for _ in range(4)), strict=True)
    s.check("dma_is_virt_to_phys", all(virt_to_phys(v[i]) == d[i] for i in range(4)))
    s.check("below_4G", all(address < 1 << 32 for address in d))
    s.check("cpu_deltas", [v[i + 1] - v[i] for i in range(3)])
    s.check("dma_deltas", [d[i + 1] - d[i] for i in range(3)])
    page = virt_to_page(v[0])
    s.check("page", f"node{page_to_nid(page)} {ZONES[page_zonenum(page)]}")
    dma_pool_free(p, v[1], d[1])
    dma_pool_free(p, v[3], d[3])
    w, e = dma_pool_alloc(p, GFP_KERNEL)
    s.check("last_freed_first", w == v[3])
    x, f = dma_pool_alloc(p, GFP_KERNEL)
    s.check("then_the_earlier", x == v[1])
    for block in ((v[0], d[0]), (v[2], d[2]), (w, e), (x, f)):
        dma_pool_free(p, *block)
    dma_pool_destroy(p)


def raw(k, v, *offsets):
    """Bytes of a block that may be free."""
    return bytes(k.ram.bytes[virt_to_phys(v) + at] for at in offsets)


@scenario("dmapool.contents", "dmapool.contents--plain", "dmapool.contents--slubdbg")
def contents(k, s):
    p = dma_pool_create("cont", device(k), 64, 64, 0)
    v, d = dma_pool_alloc(p, GFP_KERNEL)
    s.check("fresh_bytes_0_4_63", raw(k, v, 0, 4, 63))
    memset(v, 0x11, 64)
    dma_pool_free(p, v, d)
    s.check("freed_bytes_4_63", raw(k, v, 4, 63))
    s.check("freed_first_word", int.from_bytes(raw(k, v, 0, 1, 2, 3), "little"))
    v, d = dma_pool_alloc(p, GFP_KERNEL)
    s.check("again_bytes_4_63", raw(k, v, 4, 63))
    dma_pool_free(p, v, d)
    v, d = dma_pool_zalloc(p, GFP_KERNEL)
    s.check("zalloc_zero", not memchr_inv(v, 0, 64))
    dma_pool_free(p, v, d)
    dma_pool_destroy(p)


@scenario("dmapool.gfp-kernel-under-spinlock")
def gfp_kernel_under_spinlock(k, s):
    p = dma_pool_create("spin", device(k), 64, 64, 0)
    olock = DEFINE_SPINLOCK("olock")
    spin_lock(olock)
    v, d = dma_pool_alloc(p, GFP_ATOMIC)
    dma_pool_free(p, v, d)
    v, d = dma_pool_alloc(p, GFP_KERNEL)
    dma_pool_free(p, v, d)
    spin_unlock(olock)
    dma_pool_destroy(p)


@scenario("dmapool.destroy-busy")
def destroy_busy(k, s):
    p = dma_pool_create("busy", device(k), 64, 64, 0)
    v, d = dma_pool_alloc(p, GFP_KERNEL)
    dma_pool_alloc(p, GFP_KERNEL)
    dma_pool_destroy(p)
    v[0] = 1
    dma_pool_free(p, v, d)


@scenario("dmapool.free-foreign-block", "dmapool.free-foreign-block--slubdbg")
def free_foreign_block(k, s):
    dev = device(k)
    p = dma_pool_create("pool_p", dev, 64, 64, 0)
    q = dma_pool_create("pool_q", dev, 64, 64, 0)
    v, d = dma_pool_alloc(p, GFP_KERNEL)
    w, e = dma_pool_alloc(q, GFP_KERNEL)
    dma_pool_free(q, v, d)
    dma_pool_free(p, v, 0)
    dma_pool_free(p, v, d)
    dma_pool_free(q, w, e)
    dma_pool_destroy(p)
    dma_pool_destroy(q)


@scenario("dmapool.free-mismatched-vaddr")
def free_mismatched_vaddr(k, s):
    p = dma_pool_create("vaddr", device(k), 64, 64, 0)
    v, d = dma_pool_alloc(p, GFP_KERNEL)
    w, e = dma_pool_alloc(p, GFP_KERNEL)
    dma_pool_free(p, w, d)
    dma_pool_free(p, v, d)
    dma_pool_free(p, w, e)
    dma_pool_destroy(p)


@scenario("dmapool.double-free-debug")
def double_free_debug(k, s):
    p = dma_pool_create("dfd", device(k), 64, 64, 0)
    v, d = dma_pool_alloc(p, GFP_KERNEL)
    dma_pool_free(p, v, d)
    dma_pool_free(p, v, d)
    dma_pool_destroy(p)


@scenario("dmapool.write-after-free-debug")
def write_after_free_debug(k, s):
    p = dma_pool_create("corr", device(k), 64, 64, 0)
    v, d = dma_pool_alloc(p, GFP_KERNEL)
    dma_pool_free(p, v, d)
    v[20] = 0x12
    w, d = dma_pool_alloc(p, GFP_KERNEL)
    s.check("same_block", w == v)
    dma_pool_free(p, w, d)
    dma_pool_destroy(p)


@scenario("dmapool.managed")
def managed(k, s):
    def probe(pdev):
        dma_set_mask_and_coherent(pdev.dev, DMA_BIT_MASK(32))
        dm = dmam_pool_create("managed", pdev.dev, 64, 64, 0)
        v, d = dma_pool_alloc(dm, GFP_KERNEL)
        dma_pool_free(dm, v, d)
        return 0

    drv = platform_driver(probe=probe, remove=lambda pdev: 0, driver={"name": "ora-managed"})
    platform_driver_register(drv)
    p = platform_device_register_simple("ora-managed", -1, None, 0)
    path = "/sys/bus/platform/devices/ora-managed/pools"
    s.check("while_bound.0", k.read_file(path).splitlines()[1])
    device_release_driver(p.dev)
    with pytest.raises(OSError) as gone:
        k.read_file(path)
    s.check("after_unbind", f"open error -{gone.value.errno}")


# -- area dma -------------------------------------------------------------------------------------------


@scenario("context.dma-pool-ok")
def pool_ok(k, s):
    pdev = bound()
    pool = dma_pool_create("orc", pdev.dev, 100, 64, 0)
    p, h = map(list, zip(*(dma_pool_alloc(pool, GFP_KERNEL) for _ in range(3)), strict=True))
    s.check("p1_minus_p0", p[1] - p[0])
    s.check("p2_minus_p1", p[2] - p[1])
    s.check("h1_minus_h0", h[1] - h[0])
    s.check("p0_page_offset", offset_in_page(p[0]))
    dma_pool_free(pool, p[1], h[1])
    p[1], h[1] = dma_pool_alloc(pool, GFP_KERNEL)
    s.check("reused_freed_block", int(p[1] - p[0] == 128))
    for i in range(3):
        dma_pool_free(pool, p[i], h[i])
    v, d = dma_pool_zalloc(pool, GFP_KERNEL)
    s.check("zalloc_zeroed", int(not memchr_inv(v, 0, 100)))
    dma_pool_free(pool, v, d)
    dma_pool_destroy(pool)
    platform_device_unregister(pdev)


@scenario("context.dma-pool-create-args", more_reports=REFUSED)
def pool_create_args(k, s):
    pdev = bound()
    for key, arguments in {
        "size0": (0, 0, 0),
        "align3": (64, 3, 0),
        "boundary_smaller_than_size": (64, 64, 32),
        "boundary_not_power_of_two": (64, 64, 96),
        "size1": (1, 0, 0),
    }.items():
        p = dma_pool_create("orc", pdev.dev, *arguments)
        s.check(key, p)
    dma_pool_destroy(p)
    dma_pool_destroy(NULL)
    platform_device_unregister(pdev)


@scenario("context.dma-pool-destroy-busy")
def pool_destroy_busy(k, s):
    pdev = bound()
    pool = dma_pool_create("orc", pdev.dev, 64, 64, 0)
    dma_pool_alloc(pool, GFP_KERNEL)
    dma_pool_destroy(pool)
    platform_device_unregister(pdev)


@scenario("context.dma-pool-alloc-atomic")
def pool_alloc_atomic(k, s):
    pdev = bound()
    lock = DEFINE_SPINLOCK("l")
    pool = dma_pool_create("orc", pdev.dev, 64, 64, 0)
    spin_lock(lock)
    p, h = dma_pool_alloc(pool, GFP_KERNEL)
    spin_unlock(lock)
    dma_pool_free(pool, p, h)
    dma_pool_destroy(pool)
    platform_device_unregister(pdev)


@scenario("context.dmam-freed-at-unbind")
def dmam_freed_at_unbind(k, s):
    pdev = bound()
    p, _ = dmam_alloc_coherent(pdev.dev, 8192, GFP_KERNEL)
    s.check("zeroed", int(not memchr_inv(p, 0, 8192)))
    pool = dmam_pool_create("orc", pdev.dev, 64, 64, 0)
    p, h = dma_pool_alloc(pool, GFP_KERNEL)
    dma_pool_free(pool, p, h)
    device_release_driver(pdev.dev)
    platform_device_unregister(pdev)


@scenario("context.dmam-pool-busy-at-unbind")
def dmam_pool_busy_at_unbind(k, s):
    pdev = bound()
    pool = dmam_pool_create("orc", pdev.dev, 64, 64, 0)
    dma_pool_alloc(pool, GFP_KERNEL)
    device_release_driver(pdev.dev)
    platform_device_unregister(pdev)
