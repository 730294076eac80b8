"""``<linux/memory_hotplug.h>``: memory that comes while the machine runs."""

from __future__ import annotations

from errno import EINVAL
from typing import TYPE_CHECKING

from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.mm.memory_hotplug import BLOCK_SIZE
from kmock.mm.zone_layout import SECTION_PAGES

if TYPE_CHECKING:
    from kmock.machine import Kernel

MHP_NONE = 0


@api(since="2.6.14", sleeps=Sleeps.ALWAYS, fails=True)
def add_memory(k: Kernel, nid: int, start: int, size: int, mhp_flags: int = MHP_NONE) -> int:
    """Add whole blocks of memory to a node, offline. 0, -EINVAL for a bad range or node, -EEXIST for a known one.

    There is only what the machine has and ``mem=`` keeps from the kernel.
    """
    return k.memory_blocks.add(nid, start, size)


@api(since="2.6.14", sleeps=Sleeps.ALWAYS, fails=True)
def online_pages(k: Kernel, pfn: int, nr_pages: int) -> int:
    """Give the pages of offline blocks to the kernel's zone, and compute all reserves anew. 0, or -EINVAL."""
    if pfn % SECTION_PAGES or nr_pages % SECTION_PAGES:
        return -EINVAL
    blocks = range(pfn // SECTION_PAGES, (pfn + nr_pages) // SECTION_PAGES)
    return next((err for number in blocks if (err := k.memory_blocks.online(number))), 0)


@api(since="2.6.38")
def memory_block_size_bytes(k: Kernel) -> int:
    """Return the size of a block."""
    return BLOCK_SIZE


__getattr__ = header_getattr(__name__)
__all__ = ["MHP_NONE", "add_memory", "memory_block_size_bytes", "online_pages"]
