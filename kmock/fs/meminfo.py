"""``/proc/meminfo`` (``fs/proc/meminfo.c``), field by field, of a kernel without swap and huge pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.mm.layout import PAGE_SIZE
from kmock.mm.percpu_units import UNIT_USED
from kmock.mm.show_mem import kb
from kmock.mm.vm_area import VM_ALLOC
from kmock.mm.vmstat import ALL_NODES, node_stats

if TYPE_CHECKING:
    from kmock.machine import Kernel

_OVERCOMMIT_RATIO: Final = 50
_LARGE_PAGE: Final = 2 << 20


def meminfo(k: Kernel) -> str:
    """Return the text of the file."""
    return "".join(f"{name + ':':<16}{value:8d} kB\n" for name, value in fields(k).items())


def fields(k: Kernel) -> dict[str, int]:
    """Return the fields in their order, in kB."""
    stats = node_stats(k, ALL_NODES)
    pages = memory(k) | lists(stats) | highmem(k) | {"SwapTotal": 0, "SwapFree": 0} | file_pages(stats) | slab(stats)
    total = {name: kb(value) for name, value in pages.items()}
    total |= {"KernelStack": stats["nr_kernel_stack"], "PageTables": kb(stats["nr_page_table_pages"])}
    total |= {"SecPageTables": kb(stats["nr_sec_page_table_pages"])}
    total |= dict.fromkeys(("NFS_Unstable", "Bounce", "WritebackTmp"), 0)
    total |= {"CommitLimit": total["MemTotal"] * _OVERCOMMIT_RATIO // 100, "Committed_AS": 0}
    return total | kernel_space(k) | direct_map(k)


def memory(k: Kernel) -> dict[str, int]:
    """Return how many pages there are, and how many of them are free."""
    zones = k.page_alloc.zones.all
    free = sum(zone.buddy_pages for zone in zones)
    # si_mem_available(): free pages less the reserves, and as much of the reclaimable slab as can surely go.
    reserve = sum(min(max(zone.lowmem_reserve) + zone.watermark.high, zone.managed_pages) for zone in zones)
    low = sum(zone.watermark.low for zone in zones)
    reclaimable = node_stats(k, ALL_NODES)["nr_slab_reclaimable"]
    available = max(free - reserve + reclaimable - min(reclaimable // 2, low), 0)
    total = sum(zone.managed_pages for zone in zones)
    return {"MemTotal": total, "MemFree": free, "MemAvailable": available}


def lists(stats: dict[str, int]) -> dict[str, int]:
    """Return the pages on the lists that reclaim goes through."""
    active = {kind: stats[f"nr_active_{kind}"] for kind in ("anon", "file")}
    inactive = {kind: stats[f"nr_inactive_{kind}"] for kind in ("anon", "file")}
    return {
        "Buffers": 0,
        "Cached": stats["nr_file_pages"],
        "SwapCached": 0,
        "Active": sum(active.values()),
        "Inactive": sum(inactive.values()),
        "Active(anon)": active["anon"],
        "Inactive(anon)": inactive["anon"],
        "Active(file)": active["file"],
        "Inactive(file)": inactive["file"],
        "Unevictable": stats["nr_unevictable"],
        "Mlocked": 0,
    }


def highmem(k: Kernel) -> dict[str, int]:
    """Return what of memory is high and what is low; nothing where there is no highmem."""
    zones = k.page_alloc.zones
    if zones.highmem_idx < 0:
        return {}
    high = [zone for zone in zones.all if zone.idx == zones.highmem_idx]
    low = [zone for zone in zones.all if zone.idx != zones.highmem_idx]
    return {
        "HighTotal": sum(zone.managed_pages for zone in high),
        "HighFree": sum(zone.buddy_pages for zone in high),
        "LowTotal": sum(zone.managed_pages for zone in low),
        "LowFree": sum(zone.buddy_pages for zone in low),
    }


def file_pages(stats: dict[str, int]) -> dict[str, int]:
    """Return the pages of files and of processes."""
    return {
        "Dirty": stats["nr_dirty"],
        "Writeback": stats["nr_writeback"],
        "AnonPages": stats["nr_anon_pages"],
        "Mapped": stats["nr_mapped"],
        "Shmem": stats["nr_shmem"],
    }


def slab(stats: dict[str, int]) -> dict[str, int]:
    """Return the pages of caches."""
    reclaimable, others = stats["nr_slab_reclaimable"], stats["nr_slab_unreclaimable"]
    return {
        "KReclaimable": reclaimable + stats["nr_kernel_misc_reclaimable"],
        "Slab": reclaimable + others,
        "SReclaimable": reclaimable,
        "SUnreclaim": others,
    }


def kernel_space(k: Kernel) -> dict[str, int]:
    """Return what the kernel's own address space has, and what is used of it, in kB."""
    areas = k.vmalloc.living() if "vmalloc" in vars(k) else []
    used = sum(len(area.pages) for area in areas if area.flags & VM_ALLOC)
    chunks = k.percpu.chunks if "percpu" in vars(k) else []
    percpu = k.config.cpus * UNIT_USED // PAGE_SIZE
    percpu += sum(len(pages) for chunk in chunks for pages in chunk.pages.values())
    return {
        "VmallocTotal": k.layout.vmalloc_end - k.layout.vmalloc_start - 1 >> 10,
        "VmallocUsed": kb(used),
        "VmallocChunk": 0,
        "Percpu": kb(percpu),
    }


def direct_map(k: Kernel) -> dict[str, int]:
    """``arch_report_meminfo()``: with pages of which size the direct map shows memory, in kB."""
    large = sum(max(end // _LARGE_PAGE - -(-start // _LARGE_PAGE), 0) for start, end in k.ram.ranges) * _LARGE_PAGE
    small = sum(end - start for start, end in k.ram.ranges) - large
    return {"DirectMap4k": small >> 10, "DirectMap2M": large >> 10}
