"""``/proc/vmallocinfo``: who holds which part of vmalloc space (``s_show()`` of ``mm/vmalloc.c``)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from kmock.mm.vm_area import VM_ALLOC, VM_DMA_COHERENT, VM_IOREMAP, VM_MAP, VM_USERMAP

if TYPE_CHECKING:
    from kmock.fs.files import KernelFiles
    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.mm.vm_area import VmArea

PAGE_SIZE: Final = 4096
_WORDS: Final = (
    (VM_IOREMAP, "ioremap"),
    (VM_ALLOC, "vmalloc"),
    (VM_MAP, "vmap"),
    (VM_USERMAP, "user"),
    (VM_DMA_COHERENT, "dma-coherent"),
)


def attach(files: KernelFiles) -> None:
    """Add the file."""
    files.add("/proc/vmallocinfo", read=partial(vmallocinfo, files.kernel))


def vmallocinfo(k: Kernel) -> str:
    """Return the text of the file: areas by address, then what waits to be purged."""
    vmalloc = k.vmalloc
    rows = [(area.addr, _area(k, area)) for area in vmalloc.living() if area.flags]
    rows += [(start, _range(start, size) + " vm_map_ram") for start, size in vmalloc.blocks.ranges()]
    unpurged = [_range(start, span) + " unpurged vm_area" for start, span, _ in vmalloc.unpurged()] if rows else []
    return "".join(line + "\n" for line in [*(line for _, line in sorted(rows)), *unpurged])


def _range(start: int, size: int) -> str:
    return f"0x{start:016x}-0x{start + size:016x} {size:7d}"


def _area(k: Kernel, area: VmArea) -> str:
    words = [_range(area.addr, area.span), k.symbol(area.alloc_stack)]
    own = area.pages if area.flags & VM_ALLOC or area in k.vmalloc.maps.given else []
    if own:
        words.append(f"pages={len(own)}")
    if area.phys_addr:
        words.append(f"phys=0x{area.phys_addr:016x}")
    words += [word for flag, word in _WORDS if area.flags & flag]
    # The array of pages is itself vmalloc()ed once it does not fit into one of them.
    if area.flags & VM_ALLOC and len(own) * (k.layout.bits // 8) > PAGE_SIZE:
        words.append("vpages")
    return " ".join([*words, *_nodes(own)])


def _nodes(pages: list[Page]) -> list[str]:
    nodes = [page.zone.nid for page in pages if page.zone is not None]
    return [f"N{nid}={nodes.count(nid)}" for nid in sorted(set(nodes))]
