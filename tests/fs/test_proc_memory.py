"""The files of /proc that tell of memory, in the kernel's layout."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import __GFP_RECLAIMABLE, GFP_KERNEL, __free_pages, alloc_pages
from kmock.linux.percpu import alloc_percpu, free_percpu
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.types import u64
from kmock.linux.vmalloc import vfree, vmalloc

# fs/proc/meminfo.c, in its order, with arch_report_meminfo()'s at the end.
MEMINFO = [
    "MemTotal",
    "MemFree",
    "MemAvailable",
    "Buffers",
    "Cached",
    "SwapCached",
    "Active",
    "Inactive",
    "Active(anon)",
    "Inactive(anon)",
    "Active(file)",
    "Inactive(file)",
    "Unevictable",
    "Mlocked",
    "SwapTotal",
    "SwapFree",
    "Dirty",
    "Writeback",
    "AnonPages",
    "Mapped",
    "Shmem",
    "KReclaimable",
    "Slab",
    "SReclaimable",
    "SUnreclaim",
    "KernelStack",
    "PageTables",
    "SecPageTables",
    "NFS_Unstable",
    "Bounce",
    "WritebackTmp",
    "CommitLimit",
    "Committed_AS",
    "VmallocTotal",
    "VmallocUsed",
    "VmallocChunk",
    "Percpu",
    "DirectMap4k",
    "DirectMap2M",
]


def meminfo(k):
    rows = [line.split() for line in k.read_file("/proc/meminfo").splitlines()]
    assert {row[2] for row in rows} == {"kB"}
    return {row[0].removesuffix(":"): int(row[1]) for row in rows}


def test_meminfo_has_the_kernels_fields(kernel):
    assert [*meminfo(kernel)] == MEMINFO
    first = kernel.read_file("/proc/meminfo").splitlines()[0]
    assert first == f"MemTotal:       {meminfo(kernel)['MemTotal']:8d} kB"


def test_meminfo_of_a_machine_with_highmem():
    with kmock.boot(arch="x86_32", memory="2G") as k:
        shown = meminfo(k)
        assert shown["HighTotal"] + shown["LowTotal"] == shown["MemTotal"]
        assert shown["HighFree"] + shown["LowFree"] == shown["MemFree"]
        names = [*shown]
        assert names[names.index("Mlocked") + 1 :][:4] == ["HighTotal", "HighFree", "LowTotal", "LowFree"]


def test_meminfo_follows_what_is_allocated(kernel):
    big, small = vmalloc(1 << 20), kmalloc(64, GFP_KERNEL)
    pages = alloc_pages(GFP_KERNEL, 10)
    before = meminfo(kernel)
    __free_pages(pages, 10)
    after = meminfo(kernel)
    assert after["MemFree"] - before["MemFree"] == 4096
    assert after["MemAvailable"] > before["MemAvailable"]
    assert after["VmallocUsed"] == 1024
    assert after["Slab"] == after["SReclaimable"] + after["SUnreclaim"] > 0
    reclaimable = kmalloc(64, GFP_KERNEL | __GFP_RECLAIMABLE)
    assert meminfo(kernel)["SReclaimable"] == after["SReclaimable"] + 4
    vfree(big)
    assert meminfo(kernel)["VmallocUsed"] == 0
    for p in (small, reclaimable):
        kfree(p)


def test_meminfo_tells_of_stacks_and_per_cpu_memory(kernel):
    before = meminfo(kernel)
    assert before["KernelStack"] == 0
    kernel.stack_buffer(16)
    counter = alloc_percpu(u64)
    assert meminfo(kernel)["KernelStack"] == 32
    assert meminfo(kernel)["Percpu"] == before["Percpu"] == 2 * 256
    free_percpu(counter)


def test_the_direct_map_has_all_memory(kernel):
    shown = meminfo(kernel)
    assert shown["DirectMap4k"] + shown["DirectMap2M"] == 65536


def test_buddyinfo_is_one_line_a_zone():
    with kmock.boot(memory="4G", nodes=2, low_memory_top="2G") as k:
        lines = k.read_file("/proc/buddyinfo").splitlines()
        assert [line[:21] for line in lines] == [
            "Node 0, zone      DMA",
            "Node 0, zone    DMA32",
            "Node 1, zone   Normal",
        ]
        assert {len(line) for line in lines} == {22 + 11 * 7}


def test_pagetypeinfo_has_both_tables():
    with kmock.boot(nodes=2) as k:
        text = k.read_file("/proc/pagetypeinfo")
    first, second = text.split("Page block order: 10\n")[1:]
    lines = first.splitlines()
    assert lines[:2] == ["Pages per block:  1024", ""]
    assert lines[2].startswith("Free pages count per migrate type at order       0      1")
    assert lines[3].startswith("Node    0, zone      DMA, type    Unmovable      0 ")
    assert lines[11:13] == [
        "",
        "Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic ",
    ]
    assert lines[13:] == [
        "Node 0, zone      DMA            0            4            0            0 ",
        "Node 0, zone    DMA32            0            4            0            0 ",
    ]
    assert "Node    1, zone    DMA32, type      Movable" in second


def test_pageblocks_change_their_type(kernel):
    p = alloc_pages(GFP_KERNEL, 0)
    counts = kernel.read_file("/proc/pagetypeinfo").splitlines()[-1].split()[4:]
    assert counts[:2] == ["1", "11"]
    __free_pages(p, 0)


def zone_blocks(text):
    blocks = []
    for line in text.splitlines():
        if line.startswith("Node"):
            blocks.append([])
        blocks[-1].append(line)
    return blocks


def test_zoneinfo_shows_empty_zones_too(kernel):
    blocks = zone_blocks(kernel.read_file("/proc/zoneinfo"))
    assert [block[0] for block in blocks] == [
        f"Node 0, zone {name:>8}" for name in ("DMA", "DMA32", "Normal", "Movable")
    ]
    assert blocks[2][1:] == [
        "  pages free     0",
        "        boost    0",
        "        min      0",
        "        low      0",
        "        high     0",
        "        spanned  0",
        "        present  0",
        "        managed  0",
        "        cma      0",
        "        protection: (0, 0, 0, 0)",
    ]


def test_zoneinfo_of_a_zone(kernel):
    __free_pages(alloc_pages(GFP_KERNEL, 0), 0)
    dma, dma32, *_ = zone_blocks(kernel.read_file("/proc/zoneinfo"))
    assert dma[1] == "  per-node stats"
    assert dma[2:5] == ["      nr_inactive_anon 0", "      nr_active_anon 0", "      nr_inactive_file 0"]
    zone = kernel.page_alloc.zones.zone("DMA32")
    assert dma32[1] == f"  pages free     {zone.buddy_pages}"
    assert f"        managed  {zone.managed_pages}" in dma32
    assert f"        low      {zone.watermark.low}" in dma32
    counters = dma32[dma32.index("      nr_free_pages " + str(zone.buddy_pages)) :]
    assert [line.split()[0] for line in counters[:16]][-6:] == [
        "numa_hit", "numa_miss", "numa_foreign", "numa_interleave", "numa_local", "numa_other",
    ]  # fmt: skip
    pagesets = dma32[dma32.index("  pagesets") + 1 :]
    assert [line.split(":")[0].strip() for line in pagesets] == [
        *(["cpu", "count", "high", "batch", "vm stats threshold"] * 2),
        "node_unreclaimable",
        "start_pfn",
    ]
    assert pagesets[-1] == "  start_pfn:           4096"


def test_vmstat_adds_up_zones_and_nodes():
    with kmock.boot(nodes=2) as k:
        p = kmalloc(64, GFP_KERNEL)
        shown = dict(line.split() for line in k.read_file("/proc/vmstat").splitlines())
        assert int(shown["nr_free_pages"]) == k.page_alloc.nr_free_pages
        on_nodes = [k.slab.pages(nid)[1] for nid in range(2)]
        assert int(shown["nr_slab_unreclaimable"]) == sum(on_nodes) == k.slab.pages()[1] > 0
        assert next(reversed(shown)) == "nr_unstable"
        kfree(p)


@pytest.mark.parametrize("path", ["/proc/iomem", "/proc/ioports", "/proc/vmallocinfo", "/proc/slabinfo"])
def test_the_other_files_are_there(kernel, path):
    assert kernel.read_file(path) is not None
