"""What a device owns: memory, pages, actions, mappings, regions, lines; by hand, by group, and when the driver goes."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

import kmock
from kmock import KernelOops
from kmock.linux.device import (
    devm_add_action,
    devm_add_action_or_reset,
    devm_alloc_percpu,
    devm_free_pages,
    devm_free_percpu,
    devm_get_free_pages,
    devm_kasprintf,
    devm_kcalloc,
    devm_kfree,
    devm_kmalloc,
    devm_kmalloc_array,
    devm_kmemdup,
    devm_krealloc,
    devm_kstrdup,
    devm_kstrdup_const,
    devm_kzalloc,
    devm_release_action,
    devm_remove_action,
    devres_add,
    devres_alloc,
    devres_alloc_node,
    devres_close_group,
    devres_destroy,
    devres_find,
    devres_for_each_res,
    devres_free,
    devres_get,
    devres_open_group,
    devres_release,
    devres_release_all,
    devres_release_group,
    devres_remove,
    devres_remove_group,
)
from kmock.linux.err import IS_ERR, PTR_ERR
from kmock.linux.fs import file_operations
from kmock.linux.gfp import free_pages
from kmock.linux.interrupt import (
    IRQ_HANDLED,
    IRQ_WAKE_THREAD,
    devm_free_irq,
    devm_request_irq,
    devm_request_threaded_irq,
)
from kmock.linux.io import (
    devm_ioremap,
    devm_ioremap_resource,
    devm_ioremap_resource_wc,
    devm_ioremap_uc,
    devm_ioremap_wc,
    devm_iounmap,
    iounmap,
    readl,
)
from kmock.linux.ioport import (
    DEFINE_RES_IRQ,
    DEFINE_RES_MEM,
    devm_release_mem_region,
    devm_release_region,
    devm_request_mem_region,
    devm_request_region,
    release_mem_region,
)
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.percpu import free_percpu, per_cpu_ptr
from kmock.linux.slab import GFP_ATOMIC, GFP_KERNEL, ZERO_SIZE_PTR, kfree, kmalloc, ksize
from kmock.linux.string import strcmp
from kmock.linux.types import NULL, u64

if TYPE_CHECKING:
    from kmock import Kernel
    from kmock.linux.device import device

BASE = 0xF000_0000


@pytest.fixture
def dev(kernel: Kernel) -> device:
    return kernel.device("dev")


def nothing(dev, res):
    """A release function with nothing to do."""


class TestOwnResources:
    def test_are_found_the_youngest_first(self, kernel: Kernel, dev: device) -> None:
        for n in range(3):
            res = devres_alloc(nothing, 4, GFP_KERNEL)
            res.u32[0] = n
            devres_add(dev, res)
        assert devres_find(dev, nothing).u32[0] == 2
        matching = lambda dev, res, wanted: res.u32[0] == wanted  # noqa: E731 -- C passes a function
        assert devres_find(dev, nothing, matching, 1).u32[0] == 1
        assert devres_find(dev, print) == NULL
        seen: list[int] = []
        devres_for_each_res(dev, nothing, None, None, lambda dev, res, data: seen.append(res.u32[0] + data), 10)
        assert seen == [12, 11, 10]
        taken = devres_remove(dev, nothing, matching, 1)
        devres_free(taken)
        assert devres_destroy(dev, nothing, matching, 1) == -errno.ENOENT
        assert devres_destroy(dev, nothing, matching, 2) == 0
        assert devres_release_all(dev) == 1

    def test_get_adds_only_what_is_missing(self, kernel: Kernel, dev: device) -> None:
        first = devres_alloc_node(nothing, 8, GFP_KERNEL, 0)
        assert devres_get(dev, first) == first
        assert devres_get(dev, devres_alloc(nothing, 8, GFP_KERNEL)) == first
        assert devres_release_all(dev) == 1

    def test_release_calls_the_function_at_once(self, kernel: Kernel, dev: device) -> None:
        seen: list[object] = []

        def release(dev, res):
            seen.append(res)

        res = devres_alloc(release, 8, GFP_KERNEL)
        devres_add(dev, res)
        assert devres_release(dev, release) == 0
        assert seen == [res]
        assert devres_release(dev, release) == -errno.ENOENT

    def test_one_that_a_device_has_is_not_freed_by_hand(self, kernel: Kernel, dev: device) -> None:
        res = devres_alloc(nothing, 8, GFP_KERNEL)
        devres_add(dev, res)
        with kernel.expect("devm-mixed-double-release") as found, pytest.raises(KernelOops):
            devres_free(res)
        assert "kernel BUG at drivers/base/devres.c" in found[0].headline
        with kernel.expect("devm-mixed-double-release"), pytest.raises(KernelOops):
            devres_add(dev, res)

    def test_what_was_never_added_is_a_leak(self) -> None:
        with kmock.boot() as k:
            devres_alloc(nothing, 8, GFP_KERNEL)
        assert [r.kind for r in k.reports] == ["leak-unreachable"]

    def test_without_memory(self, kernel: Kernel, dev: device) -> None:
        kernel.faults.fail_nth(1)
        assert devres_alloc(nothing, 8, GFP_KERNEL) == NULL


class TestGroups:
    def test_nested(self, kernel: Kernel, dev: device) -> None:
        log: list[str] = []
        outer = devres_open_group(dev, "outer", GFP_KERNEL)
        devm_add_action(dev, log.append, "a")
        devres_open_group(dev, "inner", GFP_KERNEL)
        devm_add_action(dev, log.append, "b")
        devres_close_group(dev, "inner")
        devm_add_action(dev, log.append, "c")
        devres_close_group(dev, outer)
        devm_add_action(dev, log.append, "d")
        assert devres_release_group(dev, "outer") == 3
        assert log == ["c", "b", "a"]
        with kernel.expect("devm-unmanaged-release"):
            assert devres_release_group(dev, "inner") == 0

    def test_the_youngest_open_one_is_meant_by_null(self, kernel: Kernel, dev: device) -> None:
        log: list[str] = []
        devres_open_group(dev, None, GFP_KERNEL)
        devm_add_action(dev, log.append, "a")
        second = devres_open_group(dev, None, GFP_KERNEL)
        devm_add_action(dev, log.append, "b")
        assert devres_release_group(dev, None) == 1
        assert log == ["b"]
        devres_remove_group(dev, None)
        with kernel.expect("devm-unmanaged-release", count=2):
            devres_close_group(dev, second)
            devres_remove_group(dev, second)
        assert devres_release_all(dev) == 1
        assert devres_release_group(dev, None) == 0

    def test_an_open_one_does_not_keep_anything(self, kernel: Kernel, dev: device) -> None:
        devres_open_group(dev, None, GFP_KERNEL)
        devm_kzalloc(dev, 8, GFP_KERNEL)
        assert devres_release_all(dev) == 1

    def test_without_memory(self, kernel: Kernel, dev: device) -> None:
        kernel.faults.fail_nth(1)
        assert devres_open_group(dev, None, GFP_KERNEL) == NULL


class TestActions:
    def test_are_called_in_reverse_order(self, kernel: Kernel, dev: device) -> None:
        log: list[object] = []
        for data in ("a", 2, log):
            assert devm_add_action(dev, log.append, data) == 0
        devm_release_action(dev, log.append, "a")
        devm_remove_action(dev, log.append, log)
        devres_release_all(dev)
        assert log == ["a", 2]

    def test_or_at_once_if_they_can_not_be_kept(self, kernel: Kernel, dev: device) -> None:
        log: list[str] = []
        kernel.faults.fail_nth(1)
        assert devm_add_action_or_reset(dev, log.append, "a") == -errno.ENOMEM
        assert log == ["a"]
        assert devm_add_action_or_reset(dev, log.append, "b") == 0
        kernel.faults.fail_nth(1)
        assert devm_add_action(dev, log.append, "c") == -errno.ENOMEM
        devres_release_all(dev)
        assert log == ["a", "b"]

    def test_that_are_not_there(self, kernel: Kernel, dev: device) -> None:
        with kernel.expect("devm-unmanaged-release", count=2) as found:
            devm_remove_action(dev, print, 1)
            devm_release_action(dev, print, 1)
        assert "drivers/base/devres.c:771 devm_remove_action" in found[0].headline
        assert "drivers/base/devres.c:793 devm_release_action" in found[1].headline


class TestMemory:
    def test_has_a_header_before_it(self, kernel: Kernel, dev: device) -> None:
        p = devm_kmalloc(dev, 64, GFP_KERNEL)
        assert p.origin.size == 104
        assert p - p.origin.addr == 40
        p[63] = 1
        with kernel.expect("slab-*"):
            p[64] = 1

    def test_is_zeroed_where_it_is_asked_for(self, kernel: Kernel, dev: device) -> None:
        assert devm_kzalloc(dev, 16, GFP_KERNEL)[0:16] == bytes(16)
        assert devm_kcalloc(dev, 4, 4, GFP_KERNEL)[0:16] == bytes(16)
        assert devm_kmalloc_array(dev, 1 << 33, 1 << 33, GFP_KERNEL) == NULL
        assert devm_kcalloc(dev, 1 << 33, 1 << 33, GFP_KERNEL) == NULL
        assert devm_kmalloc_array(dev, 2, 8, GFP_KERNEL)
        assert devm_kmalloc(dev, 0, GFP_KERNEL) == ZERO_SIZE_PTR

    def test_may_be_large(self, kernel: Kernel, dev: device) -> None:
        p = devm_kzalloc(dev, 20000, GFP_KERNEL)
        p[19999] = 1
        with kernel.expect("kfree-of-devm"):
            kfree(p)

    def test_copies(self, kernel: Kernel, dev: device) -> None:
        assert devm_kmemdup(dev, b"abcd", 4, GFP_KERNEL)[0:4] == b"abcd"
        source = kmalloc(4, GFP_KERNEL)
        source[0:4] = b"wxyz"
        assert devm_kmemdup(dev, source, 4, GFP_KERNEL)[0:4] == b"wxyz"
        kfree(source)
        assert strcmp(devm_kstrdup(dev, "text", GFP_KERNEL), "text") == 0
        assert devm_kstrdup(dev, None, GFP_KERNEL) == NULL
        assert devm_kstrdup_const(dev, "literal", GFP_KERNEL) == "literal"
        devm_kfree(dev, "literal")
        copied = devm_kstrdup_const(dev, devm_kstrdup(dev, "text", GFP_KERNEL), GFP_KERNEL)
        assert strcmp(copied, "text") == 0
        assert strcmp(devm_kasprintf(dev, GFP_KERNEL, "%s-%d", "dev", 3), "dev-3") == 0

    def test_grows_in_place_or_moves(self, kernel: Kernel, dev: device) -> None:
        log: list[str] = []
        p = devm_krealloc(dev, NULL, 16, GFP_KERNEL)
        devm_add_action(dev, log.append, "after")
        p[0:16] = b"0123456789abcdef"
        room = ksize(p) - 40
        assert devm_krealloc(dev, p, room, GFP_KERNEL) == p
        moved = devm_krealloc(dev, p, 1000, GFP_KERNEL)
        assert moved != p
        assert moved[0:16] == b"0123456789abcdef"
        with kernel.expect("krealloc-stale-pointer"):
            p[0] = 1
        assert devm_krealloc(dev, moved, 0, GFP_KERNEL) == ZERO_SIZE_PTR
        assert devres_release_all(dev) == 1

    def test_of_others_does_not_grow(self, kernel: Kernel, dev: device) -> None:
        p = kmalloc(100, GFP_KERNEL)
        with kernel.expect("devm-unmanaged-release", count=2) as found:
            assert devm_krealloc(dev, p, 5000, GFP_KERNEL) == NULL
            assert devm_krealloc(dev, 0xFFFF_8880_0000_1000, 100, GFP_KERNEL) == NULL
        assert found[0].headline == "Memory chunk not managed or managed by a different device."
        assert found[1].headline == "Pointer doesn't point to dynamically allocated memory."
        kfree(p)

    def test_is_freed_once(self, kernel: Kernel, dev: device) -> None:
        p = devm_kmalloc(dev, 64, GFP_KERNEL)
        devm_kfree(dev, p)
        with kernel.expect("slab-use-after-free-*"):
            p[0] = 1
        with kernel.expect("devm-unmanaged-release"):
            devm_kfree(dev, p)

    def test_in_atomic_context(self, kernel: Kernel, dev: device) -> None:
        with kernel.softirq():
            assert devm_kmalloc(dev, 64, GFP_ATOMIC)
            with kernel.expect("sleep-in-atomic"):
                devm_kmalloc(dev, 64, GFP_KERNEL)

    def test_without_memory(self, kernel: Kernel, dev: device) -> None:
        kernel.faults.fail_nth(1)
        p = devm_kzalloc(dev, 64, GFP_KERNEL)
        with pytest.raises(KernelOops), kernel.expect("slab-null-unchecked"):
            p[0] = 1
        kernel.faults.fail_nth(1)
        assert devm_krealloc(dev, devm_kmalloc(dev, 8, GFP_KERNEL), 1, GFP_KERNEL) is not None

    def test_pages(self, kernel: Kernel, dev: device) -> None:
        p = devm_get_free_pages(dev, GFP_KERNEL, 1)
        p[8191] = 1
        devm_free_pages(dev, p)
        with kernel.expect("devm-unmanaged-release"):
            devm_free_pages(dev, p)
        devm_get_free_pages(dev, GFP_KERNEL, 0)
        kernel.faults.fail_page_alloc(probability=100, ignore_gfp_wait=0, min_order=0)
        assert not devm_get_free_pages(dev, GFP_KERNEL, 0)

    def test_pages_freed_by_hand_too(self, kernel: Kernel, dev: device) -> None:
        p = devm_get_free_pages(dev, GFP_KERNEL, 0)
        free_pages(p, 0)
        with kernel.expect("devm-mixed-double-release"), pytest.raises(KernelOops):
            devres_release_all(dev)

    def test_percpu(self, kernel: Kernel, dev: device) -> None:
        counter = devm_alloc_percpu(dev, u64)
        per_cpu_ptr(counter, 1).value = 5
        devm_free_percpu(dev, counter)
        with kernel.expect("devm-unmanaged-release"):
            devm_free_percpu(dev, counter)
        counter = devm_alloc_percpu(dev, u64)
        free_percpu(counter)
        with kernel.expect("devm-mixed-double-release"):
            devres_release_all(dev)


class TestRegisters:
    def test_are_unmapped(self, kernel: Kernel, dev: device) -> None:
        kernel.mmio(BASE, 0x3000)
        for n, remap in enumerate((devm_ioremap, devm_ioremap_uc, devm_ioremap_wc)):
            assert readl(remap(dev, BASE + n * 0x1000, 0x100)) == 0
        early = devm_ioremap(dev, BASE + 0x100, 0x10)
        devm_iounmap(dev, early)
        with kernel.expect("devm-unmanaged-release"), kernel.expect("iounmap-*"):
            devm_iounmap(dev, early)
        devres_release_all(dev)

    def test_unmapped_by_hand_too(self, kernel: Kernel, dev: device) -> None:
        cookie = devm_ioremap(dev, BASE, 0x100)
        iounmap(cookie)
        with kernel.expect("devm-mixed-double-release"):
            devres_release_all(dev)

    def test_resources(self, kernel: Kernel, dev: device, dmesg) -> None:
        r = DEFINE_RES_MEM(BASE, 0x100)
        assert not IS_ERR(devm_ioremap_resource(dev, r))
        assert PTR_ERR(devm_ioremap_resource(dev, r)) == -errno.EBUSY
        assert PTR_ERR(devm_ioremap_resource(dev, None)) == -errno.EINVAL
        assert PTR_ERR(devm_ioremap_resource(dev, DEFINE_RES_IRQ(3))) == -errno.EINVAL
        assert "dev dev: can't request region for resource [mem 0xf0000000-0xf00000ff]" in dmesg
        assert "dev dev: invalid resource" in dmesg
        assert "f0000000-f00000ff : dev" in kernel.read_file("/proc/iomem")
        devres_release_all(dev)
        assert not IS_ERR(devm_ioremap_resource_wc(dev, r))
        with kernel.expect("driver-bug"), pytest.raises(KernelOops):
            devm_ioremap_resource(None, r)

    def test_every_failure_of_mapping_a_resource_is_undone(self) -> None:
        for nth in range(1, 10):
            with kmock.boot() as k:
                dev = k.device("dev")
                k.faults.fail_nth(nth)
                devm_ioremap_resource(dev, DEFINE_RES_MEM(BASE, 0x100))
                survived = k.faults.calls_left > 0
            assert not k.reports
            if survived:
                break
        assert nth > 1

    def test_regions(self, kernel: Kernel, dev: device) -> None:
        assert devm_request_mem_region(dev, BASE, 0x100, "mine")
        assert devm_request_mem_region(dev, BASE, 0x100, "again") == NULL
        devm_release_mem_region(dev, BASE, 0x100)
        assert devm_request_region(dev, 0x300, 8, "ports")
        devm_release_region(dev, 0x300, 8)
        devm_request_region(dev, 0x300, 8, "ports")
        devm_request_mem_region(dev, BASE, 0x100, "mine")
        release_mem_region(BASE, 0x100)
        with kernel.expect("devm-mixed-double-release"):
            devres_release_all(dev)
        with kernel.expect("devm-unmanaged-release"), kernel.expect("region-release-bad"):
            devm_release_mem_region(dev, BASE, 0x100)


class TestLines:
    def test_are_freed(self, kernel: Kernel, dev: device) -> None:
        seen: list[int] = []
        assert devm_request_irq(dev, 9, lambda irq, cookie: seen.append(irq) or IRQ_HANDLED, 0, None, dev) == 0
        assert devm_request_irq(dev, 9, lambda irq, cookie: IRQ_HANDLED, 0, "other", dev) == -errno.EBUSY
        kernel.raise_irq(9)
        devres_release_all(dev)
        kernel.raise_irq(9)
        assert seen == [9]

    def test_early(self, kernel: Kernel, dev: device) -> None:
        devm_request_irq(dev, 9, lambda irq, cookie: IRQ_HANDLED, 0, "dev", dev)
        devm_free_irq(dev, 9, dev)
        with kernel.expect("devm-unmanaged-release"), kernel.expect("irq-free-wrong"):
            devm_free_irq(dev, 9, dev)

    def test_threaded(self, kernel: Kernel, dev: device) -> None:
        seen: list[int] = []
        err = devm_request_threaded_irq(
            dev,
            9,
            lambda irq, cookie: IRQ_WAKE_THREAD,
            lambda irq, cookie: seen.append(irq) or IRQ_HANDLED,
            0,
            "t",
            dev,
        )
        assert err == 0
        kernel.raise_irq(9)
        kernel.run()
        assert seen == [9]


class TestPerOpen:
    def test_what_every_open_gives_to_the_device_piles_up(self, kernel: Kernel, dev: device) -> None:
        def dev_open(inode, filp):
            devm_kzalloc(dev, 64, GFP_KERNEL)
            return 0

        misc = miscdevice(name="dev", fops=file_operations(open=dev_open))
        misc_register(misc)
        p = kernel.user()
        p.close(p.open("/dev/dev"))
        with kernel.expect("leak-per-open") as found:
            for _ in range(3):
                p.close(p.open("/dev/dev"))
        assert found[0].where.function == "dev_open"
        misc_deregister(misc)
