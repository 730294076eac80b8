"""Claiming bus addresses, and the trees that tell who has which."""

from __future__ import annotations

import errno

import pytest

import kmock
from kmock.linux.io import ioremap, iounmap
from kmock.linux.ioport import (
    DEFINE_RES_MEM_NAMED,
    IORESOURCE_BUSY,
    IORESOURCE_MEM,
    insert_resource,
    iomem_resource,
    ioport_resource,
    lookup_resource,
    release_mem_region,
    release_region,
    release_resource,
    request_mem_region,
    request_region,
    request_resource,
    resource_contains,
    resource_overlaps,
    resource_size,
)
from kmock.linux.types import NULL

BAR = 0xF000_0000


def kinds(k):
    return [report.kind for report in k.reports]


def test_region_is_claimed_and_released():
    with kmock.boot() as k:
        res = request_mem_region(BAR, 0x1000, "driver")
        assert (res.start, res.end, res.name) == (BAR, BAR + 0xFFF, "driver")
        assert res.flags == IORESOURCE_MEM | IORESOURCE_BUSY
        assert resource_size(res) == 0x1000
        assert request_mem_region(BAR + 0xFFF, 1, "other") == NULL
        assert request_mem_region(BAR + 0x1000, 1, "other")
        release_mem_region(BAR + 0x1000, 1)
        release_mem_region(BAR, 0x1000)
        assert not k.reports


def test_proc_iomem():
    with kmock.boot(memory="64M") as k:
        insert_resource(iomem_resource, DEFINE_RES_MEM_NAMED(BAR, 0x2000, "0000:00:03.0"))
        request_mem_region(BAR, 0x1000, "driver")
        assert k.read_file("/proc/iomem").splitlines()[-2:] == [
            "f0000000-f0001fff : 0000:00:03.0",
            "  f0000000-f0000fff : driver",
        ]
        assert k.read_file("/proc/iomem").startswith("00000000-03ffffff : System RAM\n")
        release_mem_region(BAR, 0x1000)
        assert "driver" not in k.read_file("/proc/iomem")


def test_proc_ioports():
    with kmock.boot() as k:
        request_region(0x60, 5, "keyboard")
        assert k.read_file("/proc/ioports") == "0060-0064 : keyboard\n"
        assert request_region(0x64, 1, "other") == NULL
        release_region(0x60, 5)
        assert not k.reports


def test_ram_is_taken():
    with kmock.boot() as k:
        assert request_mem_region(0x100_0000, 0x1000, "driver") == NULL
        assert not k.reports


@pytest.mark.parametrize(("start", "n"), [(BAR, 0x100), (BAR + 0x10, 0xFF0), (BAR, 0x2000), (BAR + 0x8000, 1)])
def test_releasing_what_was_not_claimed(start, n):
    with kmock.boot() as k:
        request_mem_region(BAR, 0x1000, "driver")
        release_mem_region(start, n)
        assert kinds(k) == ["region-release-bad"]
        assert f"resource: Trying to free nonexistent resource <{start:#018x}-{start + n - 1:#018x}>" in k.dmesg()
        release_mem_region(BAR, 0x1000)


def test_region_left_is_told_at_the_end():
    with kmock.boot() as k:
        request_mem_region(BAR, 0x1000, "driver")
        request_region(0x60, 1, "driver")
        k.shutdown()
        assert kinds(k) == ["region-leak", "region-leak"]
        assert k.reports[1].lines == ("[io  0x0060-0x0060] driver was never released by release_region()",)


def test_region_left_by_the_call_is_charged_to_it():
    with kmock.boot() as k:
        k.phase = "setup"
        request_mem_region(BAR + 0x1000, 0x1000, "fixture")
        k.phase = "call"
        k.census.begin_call()
        request_mem_region(BAR, 0x1000, "driver")
        k.census.end_call()
        assert kinds(k) == ["region-leak"]
        release_mem_region(BAR + 0x1000, 0x1000)
        k.shutdown()
        assert kinds(k) == ["region-leak"]


def test_request_fails_as_slab_does():
    with kmock.boot() as k:
        k.faults.failslab(probability=100, times=1, ignore_gfp_wait=False)
        assert request_mem_region(BAR, 0x1000, "driver") == NULL
        assert request_mem_region(BAR, 0x1000, "driver")
        release_mem_region(BAR, 0x1000)


def test_resources_nest():
    with kmock.boot():
        outer = DEFINE_RES_MEM_NAMED(BAR, 0x4000, "outer")
        inner = DEFINE_RES_MEM_NAMED(BAR + 0x1000, 0x1000, "inner")
        across = DEFINE_RES_MEM_NAMED(BAR + 0x3000, 0x2000, "across")
        assert request_resource(iomem_resource, inner) == 0
        assert insert_resource(iomem_resource, outer) == 0
        assert inner.parent is outer
        assert outer.child is inner
        assert inner.sibling is None
        assert request_resource(iomem_resource, across) == -errno.EBUSY
        assert insert_resource(iomem_resource, across) == -errno.EBUSY
        assert lookup_resource(iomem_resource, BAR) is outer
        assert resource_contains(outer, inner)
        assert not resource_contains(inner, outer)
        assert resource_overlaps(outer, across)
        assert release_resource(outer) == 0
        assert release_resource(outer) == -errno.EINVAL


def test_each_machine_has_its_own_trees():
    with kmock.boot():
        request_region(0x60, 1, "driver")
        assert ioport_resource.child.name == "driver"
        with kmock.boot():
            assert ioport_resource.child is None
        release_region(0x60, 1)


def test_a_refused_driver_that_goes_on():
    def probe():
        return request_mem_region(BAR, 0x1000, "second"), ioremap(BAR, 0x1000)

    with kmock.boot() as k:
        request_mem_region(BAR, 0x1000, "first")
        mine = ioremap(BAR, 0x1000)
        assert not k.reports
        _, regs = probe()
        assert kinds(k) == ["region-busy-ignored"]
        iounmap(regs)
        iounmap(mine)
        release_mem_region(BAR, 0x1000)
