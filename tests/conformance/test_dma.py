"""Replays what the ``dma`` area has of mappings: what they give, and every sentence of dma-debug."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux.device import device_release_driver
from kmock.linux.dma_mapping import (
    DMA_BIDIRECTIONAL,
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    DMA_NONE,
    DMA_TO_DEVICE,
    dma_alloc_coherent,
    dma_free_coherent,
    dma_get_cache_alignment,
    dma_get_mask,
    dma_get_max_seg_size,
    dma_get_seg_boundary,
    dma_map_page,
    dma_map_sg,
    dma_map_single,
    dma_mapping_error,
    dma_max_mapping_size,
    dma_need_sync,
    dma_set_mask_and_coherent,
    dma_set_max_seg_size,
    dma_set_seg_boundary,
    dma_sync_sg_for_cpu,
    dma_sync_sg_for_device,
    dma_sync_single_for_cpu,
    dma_sync_single_for_device,
    dma_sync_single_range_for_cpu,
    dma_unmap_page,
    dma_unmap_sg,
    dma_unmap_single,
    dmam_alloc_coherent,
    dmam_free_coherent,
)
from kmock.linux.gfp import (
    GFP_ATOMIC,
    GFP_KERNEL,
    __free_page,
    __get_free_page,
    __get_free_pages,
    alloc_page,
    free_page,
)
from kmock.linux.io import page_to_phys, virt_to_phys
from kmock.linux.irqflags import local_irq_restore, local_irq_save
from kmock.linux.platform_device import (
    platform_device_register_simple,
    platform_device_unregister,
    platform_driver,
    platform_driver_register,
)
from kmock.linux.scatterlist import (
    scatterlist,
    sg_dma_address,
    sg_dma_len,
    sg_init_one,
    sg_init_table,
    sg_set_buf,
)
from kmock.linux.slab import kfree, kmalloc, kzalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.string import memset
from kmock.linux.vmalloc import vfree, vmalloc, vmalloc_to_page
from tests.conformance.replay import scenario

if TYPE_CHECKING:
    from kmock import Kernel
    from kmock.linux.platform_device import platform_device
    from tests.conformance.replay import Replay

SIZE_MAX = (1 << 64) - 1


def bound() -> platform_device:
    """A platform device "orc" with a driver."""
    platform_driver_register(platform_driver(probe=lambda _: 0, driver={"name": "orc"}))
    return platform_device_register_simple("orc", 0, None, 0)


def given(p: object) -> str:
    return "non-NULL" if p else "NULL"


def mapped(dev, size=256, direction=DMA_TO_DEVICE):
    """A buffer, and its checked handle."""
    p = kmalloc(size, GFP_KERNEL)
    h = dma_map_single(dev, p, size, direction)
    dma_mapping_error(dev, h)
    return p, h


@scenario("context.dma-default-masks")
def default_masks(k: Kernel, s: Replay) -> None:
    pdev = bound()
    dev = pdev.dev
    s.check("dma_mask_set", int(dev.dma_mask is not None))
    s.check("dma_mask", f"{dma_get_mask(dev):#x}")
    s.check("coherent_dma_mask", f"{dev.coherent_dma_mask:#x}")
    s.check("max_mapping_size_is_SIZE_MAX", int(dma_max_mapping_size(dev) == SIZE_MAX))
    s.check("max_seg_size", dma_get_max_seg_size(dev))
    s.check("seg_boundary", f"{dma_get_seg_boundary(dev):#x}")
    s.check("cache_alignment", dma_get_cache_alignment())
    s.check("need_sync", int(dma_need_sync(dev, 0x1000)))
    for bits in (32, 64, 24, 12):
        s.check(f"set_mask_{bits}", dma_set_mask_and_coherent(dev, DMA_BIT_MASK(bits)))
    s.check("set_mask_0", dma_set_mask_and_coherent(dev, 0))
    s.check("mask_after_refused", f"{dma_get_mask(dev):#x}")
    platform_device_unregister(pdev)


@scenario("context.dma-single-ok")
def single_ok(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = kmalloc(256, GFP_KERNEL)
    h = dma_map_single(pdev.dev, p, 256, DMA_TO_DEVICE)
    s.check("mapping_error", dma_mapping_error(pdev.dev, h))
    s.check("handle_is_phys", int(h == virt_to_phys(p)))
    dma_unmap_single(pdev.dev, h, 256, DMA_TO_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-page-ok")
def page_ok(k: Kernel, s: Replay) -> None:
    pdev = bound()
    pg = alloc_page(GFP_KERNEL)
    h = dma_map_page(pdev.dev, pg, 128, 512, DMA_FROM_DEVICE)
    s.check("mapping_error", dma_mapping_error(pdev.dev, h))
    s.check("handle_minus_phys", h - page_to_phys(pg))
    dma_unmap_page(pdev.dev, h, 512, DMA_FROM_DEVICE)
    __free_page(pg)
    platform_device_unregister(pdev)


def three_pages():
    sg = [scatterlist() for _ in range(3)]
    sg_init_table(sg, 3)
    p = [__get_free_page(GFP_KERNEL) for _ in range(3)]
    for i in range(3):
        sg_set_buf(sg[i], p[i], 1024)
    return sg, p


@scenario("context.dma-sg-ok")
def sg_ok(k: Kernel, s: Replay) -> None:
    pdev = bound()
    sg, p = three_pages()
    s.check("mapped", dma_map_sg(pdev.dev, sg, 3, DMA_BIDIRECTIONAL))
    s.check("dma_len_0", sg_dma_len(sg[0]))
    s.check("dma_addr_is_phys", int(sg_dma_address(sg[1]) == virt_to_phys(p[1])))
    dma_sync_sg_for_cpu(pdev.dev, sg, 3, DMA_BIDIRECTIONAL)
    dma_sync_sg_for_device(pdev.dev, sg, 3, DMA_BIDIRECTIONAL)
    dma_unmap_sg(pdev.dev, sg, 3, DMA_BIDIRECTIONAL)
    for page in p:
        free_page(page)
    platform_device_unregister(pdev)


@scenario("context.dma-coherent-ok")
def coherent_ok(k: Kernel, s: Replay) -> None:
    pdev = bound()
    for key in s.observed:
        size = int(key.removeprefix("size_"))
        whole = 4096 << (size - 1 >> 12).bit_length()
        p, h = dma_alloc_coherent(pdev.dev, size, GFP_KERNEL)
        zeroed = p[0:size] == bytes(size)
        text = f"ok:{int(bool(p))} zeroed:{int(zeroed)} page_aligned:{int(p % 4096 == 0)}"
        s.check(key, f"{text} handle_aligned_to_order:{int(h % whole == 0)}")
        dma_free_coherent(pdev.dev, size, p, h)
    platform_device_unregister(pdev)


@scenario("context.dma-coherent-zeroed")
def coherent_zeroed(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = dma_alloc_coherent(pdev.dev, 8192, GFP_KERNEL)
    memset(p, 0xAA, 8192)
    dma_free_coherent(pdev.dev, 8192, p, h)
    p, h = dma_alloc_coherent(pdev.dev, 8192, GFP_KERNEL)
    s.check("nonzero_bytes", int(p[0:8192] != bytes(8192)))
    dma_free_coherent(pdev.dev, 8192, p, h)
    platform_device_unregister(pdev)


@scenario("context.dma-coherent-gfp-kernel-atomic", "context.dma-coherent-gfp-atomic-ok")
def coherent_gfp(k: Kernel, s: Replay) -> None:
    pdev = bound()
    lock = DEFINE_SPINLOCK("l")
    spin_lock(lock)
    p, h = dma_alloc_coherent(pdev.dev, 4096, GFP_ATOMIC if s.id.endswith("ok") else GFP_KERNEL)
    spin_unlock(lock)
    s.check("returned", given(p))
    dma_free_coherent(pdev.dev, 4096, p, h)
    platform_device_unregister(pdev)


@scenario("context.dma-free-coherent-irqs-off")
def free_irqs_off(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = dma_alloc_coherent(pdev.dev, 4096, GFP_KERNEL)
    flags = local_irq_save()
    dma_free_coherent(pdev.dev, 4096, p, h)
    local_irq_restore(flags)
    platform_device_unregister(pdev)


@scenario("context.dma-free-coherent-null")
def free_null(k: Kernel, s: Replay) -> None:
    pdev = bound()
    dma_free_coherent(pdev.dev, 4096, None, 0)
    platform_device_unregister(pdev)


@scenario("context.dma-sync-ok")
def sync_ok(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = mapped(pdev.dev, 512, DMA_FROM_DEVICE)
    dma_sync_single_for_cpu(pdev.dev, h, 512, DMA_FROM_DEVICE)
    dma_sync_single_for_device(pdev.dev, h, 512, DMA_FROM_DEVICE)
    dma_sync_single_range_for_cpu(pdev.dev, h, 64, 128, DMA_FROM_DEVICE)
    dma_unmap_single(pdev.dev, h, 512, DMA_FROM_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-unmap-wrong-size")
def unmap_wrong_size(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = mapped(pdev.dev)
    dma_unmap_single(pdev.dev, h, 128, DMA_TO_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-unmap-wrong-direction")
def unmap_wrong_direction(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = mapped(pdev.dev)
    dma_unmap_single(pdev.dev, h, 256, DMA_FROM_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-unmap-wrong-device")
def unmap_wrong_device(k: Kernel, s: Replay) -> None:
    pdev = bound()
    second = platform_device_register_simple("orc", 1, None, 0)
    p, h = mapped(pdev.dev)
    dma_unmap_single(second.dev, h, 256, DMA_TO_DEVICE)
    dma_unmap_single(pdev.dev, h, 256, DMA_TO_DEVICE)
    kfree(p)
    platform_device_unregister(second)
    platform_device_unregister(pdev)


@scenario("context.dma-unmap-wrong-address")
def unmap_wrong_address(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = mapped(pdev.dev)
    dma_unmap_single(pdev.dev, h + 64, 256, DMA_TO_DEVICE)
    dma_unmap_single(pdev.dev, h, 256, DMA_TO_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-single-unmapped-as-page")
def single_as_page(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = mapped(pdev.dev)
    dma_unmap_page(pdev.dev, h, 256, DMA_TO_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-single-unmapped-as-sg")
def single_as_sg(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = mapped(pdev.dev)
    sg = scatterlist()
    sg_init_one(sg, p, 256)
    sg.dma_address = h
    sg.dma_length = 256
    dma_unmap_sg(pdev.dev, sg, 1, DMA_TO_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-coherent-unmapped-as-single")
def coherent_as_single(k: Kernel, s: Replay) -> None:
    pdev = bound()
    _, h = dma_alloc_coherent(pdev.dev, 4096, GFP_KERNEL)
    dma_unmap_single(pdev.dev, h, 4096, DMA_BIDIRECTIONAL)
    platform_device_unregister(pdev)


@scenario("context.dma-single-freed-as-coherent")
def single_as_coherent(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = __get_free_page(GFP_KERNEL)
    h = dma_map_single(pdev.dev, p, 4096, DMA_BIDIRECTIONAL)
    dma_mapping_error(pdev.dev, h)
    dma_free_coherent(pdev.dev, 4096, p, h)
    platform_device_unregister(pdev)


@scenario("context.dma-unmap-twice")
def unmap_twice(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = mapped(pdev.dev)
    dma_unmap_single(pdev.dev, h, 256, DMA_TO_DEVICE)
    dma_unmap_single(pdev.dev, h, 256, DMA_TO_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-sg-no-error-check", fewer_reports="a mapping that succeeds does no harm, checked or not")
def sg_no_error_check(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = kmalloc(256, GFP_KERNEL)
    sg = scatterlist()
    sg_init_one(sg, p, 256)
    dma_map_sg(pdev.dev, sg, 1, DMA_TO_DEVICE)
    dma_unmap_sg(pdev.dev, sg, 1, DMA_TO_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-sync-inner-address")
def sync_inner(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = kmalloc(512, GFP_KERNEL)
    h = dma_map_single(pdev.dev, p, 256, DMA_FROM_DEVICE)
    dma_mapping_error(pdev.dev, h)
    dma_sync_single_for_cpu(pdev.dev, h + 64, 64, DMA_FROM_DEVICE)
    dma_unmap_single(pdev.dev, h, 256, DMA_FROM_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-sync-for-device-wrong-direction")
def sync_wrong_direction(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = mapped(pdev.dev, 256, DMA_FROM_DEVICE)
    dma_sync_single_for_device(pdev.dev, h, 256, DMA_TO_DEVICE)
    dma_unmap_single(pdev.dev, h, 256, DMA_FROM_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-sync-cpu-of-to-device")
def sync_cpu_of_to_device(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = mapped(pdev.dev)
    dma_sync_single_for_cpu(pdev.dev, h, 256, DMA_TO_DEVICE)
    dma_unmap_single(pdev.dev, h, 256, DMA_TO_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-sync-bidirectional-any-ok")
def sync_bidirectional(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = mapped(pdev.dev, 256, DMA_BIDIRECTIONAL)
    dma_sync_single_for_cpu(pdev.dev, h, 256, DMA_FROM_DEVICE)
    dma_sync_single_for_device(pdev.dev, h, 256, DMA_TO_DEVICE)
    dma_unmap_single(pdev.dev, h, 256, DMA_BIDIRECTIONAL)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-sync-after-unmap")
def sync_after_unmap(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = mapped(pdev.dev, 256, DMA_FROM_DEVICE)
    dma_unmap_single(pdev.dev, h, 256, DMA_FROM_DEVICE)
    dma_sync_single_for_cpu(pdev.dev, h, 256, DMA_FROM_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-cpu-access-while-mapped")
def cpu_access(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = kzalloc(256, GFP_KERNEL)
    h = dma_map_single(pdev.dev, p, 256, DMA_FROM_DEVICE)
    dma_mapping_error(pdev.dev, h)
    p[0] = 1
    s.check("p[0]", p[0])
    dma_unmap_single(pdev.dev, h, 256, DMA_FROM_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-kfree-while-mapped")
def kfree_while_mapped(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = kzalloc(256, GFP_KERNEL)
    h = dma_map_single(pdev.dev, p, 256, DMA_TO_DEVICE)
    dma_mapping_error(pdev.dev, h)
    kfree(p)
    dma_unmap_single(pdev.dev, h, 256, DMA_TO_DEVICE)
    platform_device_unregister(pdev)


@scenario("context.dma-map-vmalloc", "context.dma-map-vmalloc-again")
def map_vmalloc(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = vmalloc(4096)
    for _ in range(2 if s.id.endswith("again") else 1):
        h = dma_map_single(pdev.dev, p, 4096, DMA_TO_DEVICE)
    s.check("mapping_error", dma_mapping_error(pdev.dev, h))
    vfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-map-vmalloc-page-ok")
def map_vmalloc_page(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = vmalloc(4096)
    h = dma_map_page(pdev.dev, vmalloc_to_page(p), 0, 4096, DMA_TO_DEVICE)
    s.check("mapping_error", dma_mapping_error(pdev.dev, h))
    dma_unmap_page(pdev.dev, h, 4096, DMA_TO_DEVICE)
    vfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-map-text", "context.dma-map-rodata")
def map_text(k: Kernel, s: Replay) -> None:
    pdev = bound()
    size = 64 if s.id.endswith("text") else 16
    p = k.image.text("_printk") if size == 64 else k.image.rodata(b"0123456789abcdef", "hex_asc")
    h = dma_map_single(pdev.dev, p, size, DMA_TO_DEVICE)
    s.check("mapping_error", dma_mapping_error(pdev.dev, h))
    dma_unmap_single(pdev.dev, h, size, DMA_TO_DEVICE)
    platform_device_unregister(pdev)


@scenario("context.dma-map-freed")
def map_freed(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = kmalloc(256, GFP_KERNEL)
    kfree(p)
    h = dma_map_single(pdev.dev, p, 256, DMA_TO_DEVICE)
    s.check("mapping_error", dma_mapping_error(pdev.dev, h))
    dma_unmap_single(pdev.dev, h, 256, DMA_TO_DEVICE)
    platform_device_unregister(pdev)


@scenario("context.dma-coherent-too-big")
def too_big(k: Kernel, s: Replay) -> None:
    pdev = bound()
    for mib in (8, 4):
        p, h = dma_alloc_coherent(pdev.dev, mib << 20, GFP_KERNEL)
        s.check(f"returned_{mib}M", given(p))
        if p:
            dma_free_coherent(pdev.dev, mib << 20, p, h)
    platform_device_unregister(pdev)


@scenario("context.dma-overlap-to-device", "context.dma-overlap-from-device", "context.dma-overlap-to-then-from")
def overlap(k: Kernel, s: Replay) -> None:
    pdev = bound()
    dev = pdev.dev
    p = kmalloc(256, GFP_KERNEL)
    first, second, size, apart = {
        "context.dma-overlap-to-device": (DMA_TO_DEVICE, DMA_TO_DEVICE, 256, 0),
        "context.dma-overlap-from-device": (DMA_FROM_DEVICE, DMA_FROM_DEVICE, 32, 32),
        "context.dma-overlap-to-then-from": (DMA_TO_DEVICE, DMA_FROM_DEVICE, 64, 0),
    }[s.id]
    h1 = dma_map_single(dev, p, size, first)
    dma_mapping_error(dev, h1)
    h2 = dma_map_single(dev, p + apart, size, second)
    dma_mapping_error(dev, h2)
    ends = [(h1, first), (h2, second)]
    for h, direction in reversed(ends) if apart else ends:
        dma_unmap_single(dev, h, size, direction)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-free-coherent-wrong-size")
def free_wrong_size(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = dma_alloc_coherent(pdev.dev, 4096, GFP_KERNEL)
    dma_free_coherent(pdev.dev, 2048, p, h)
    platform_device_unregister(pdev)


@scenario("context.dma-sg-wrong-nents")
def sg_wrong_nents(k: Kernel, s: Replay) -> None:
    pdev = bound()
    sg, p = three_pages()
    s.check("mapped", dma_map_sg(pdev.dev, sg, 3, DMA_TO_DEVICE))
    dma_unmap_sg(pdev.dev, sg, 2, DMA_TO_DEVICE)
    for page in p:
        free_page(page)
    platform_device_unregister(pdev)


@scenario("context.dma-sg-segment-boundary")
def sg_boundary(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = __get_free_pages(GFP_KERNEL, 2)
    dma_set_max_seg_size(pdev.dev, 65536)
    dma_set_seg_boundary(pdev.dev, 4095)
    sg = scatterlist()
    sg_init_one(sg, p + 2048, 4096)
    s.check("mapped", dma_map_sg(pdev.dev, sg, 1, DMA_TO_DEVICE))
    dma_unmap_sg(pdev.dev, sg, 1, DMA_TO_DEVICE)
    platform_device_unregister(pdev)


@scenario("context.dma-sg-zero-entries")
def sg_zero(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = kmalloc(64, GFP_KERNEL)
    sg = [scatterlist()]
    sg_init_one(sg, p, 64)
    s.check("mapped", dma_map_sg(pdev.dev, sg, 0, DMA_TO_DEVICE))
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-unbind-live-platform")
def unbind_live(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = kmalloc(256, GFP_KERNEL)
    s.check("bound", int(pdev.dev.driver is not None))
    h = dma_map_single(pdev.dev, p, 256, DMA_TO_DEVICE)
    dma_mapping_error(pdev.dev, h)
    device_release_driver(pdev.dev)
    dma_unmap_single(pdev.dev, h, 256, DMA_TO_DEVICE)
    kfree(p)
    platform_device_unregister(pdev)


@scenario("context.dma-mask-unset-coherent")
def mask_unset(k: Kernel, s: Replay) -> None:
    pdev = bound()
    pdev.dev.coherent_dma_mask = 0
    p, _ = dma_alloc_coherent(pdev.dev, 4096, GFP_KERNEL)
    s.check("returned", given(p))
    platform_device_unregister(pdev)


@scenario("context.dmam-free-ok", "context.dmam-freed-with-dma-free")
def dmam_free(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = dmam_alloc_coherent(pdev.dev, 8192, GFP_KERNEL)
    free = dmam_free_coherent if s.id.endswith("ok") else dma_free_coherent
    free(pdev.dev, 8192, p, h)
    device_release_driver(pdev.dev)
    platform_device_unregister(pdev)


@scenario("context.dmam-free-foreign")
def dmam_free_foreign(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = dma_alloc_coherent(pdev.dev, 4096, GFP_KERNEL)
    dmam_free_coherent(pdev.dev, 4096, p, h)
    platform_device_unregister(pdev)


@scenario("context.dma-bad-direction", "context.dma-none-direction")
def bad_direction(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p = kmalloc(64, GFP_KERNEL)
    dma_map_single(pdev.dev, p, 64, 7 if "bad" in s.id else DMA_NONE)


@scenario("context.dma-free-coherent-twice")
def free_twice(k: Kernel, s: Replay) -> None:
    pdev = bound()
    p, h = dma_alloc_coherent(pdev.dev, 4096, GFP_KERNEL)
    dma_free_coherent(pdev.dev, 4096, p, h)
    dma_free_coherent(pdev.dev, 4096, p, h)


@scenario("context.dma-free-coherent-wrong-cpu")
def free_wrong_cpu(k: Kernel, s: Replay) -> None:
    pdev = bound()
    q = __get_free_page(GFP_KERNEL)
    _, h = dma_alloc_coherent(pdev.dev, 4096, GFP_KERNEL)
    dma_free_coherent(pdev.dev, 4096, q, h)
    platform_device_unregister(pdev)


@scenario("context.dma-map-user-pointer")
def map_user_pointer(k: Kernel, s: Replay) -> None:
    pdev = bound()
    with_buffer = k.user().buffer(64)
    h = dma_map_single(pdev.dev, with_buffer, 64, DMA_TO_DEVICE)
    s.check("mapping_error", dma_mapping_error(pdev.dev, h))
    platform_device_unregister(pdev)


@scenario("context.dma-sg-stack")
def sg_stack(k: Kernel, s: Replay) -> None:
    pdev = bound()
    b = k.stack_buffer(64)
    sg = scatterlist()
    sg_init_one(sg, b, 64)
    s.check("mapped", dma_map_sg(pdev.dev, sg, 1, DMA_TO_DEVICE))
    platform_device_unregister(pdev)
