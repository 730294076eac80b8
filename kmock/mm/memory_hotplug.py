"""Memory that comes while the machine runs (``mm/memory_hotplug.c``, ``drivers/base/memory.c``).

What ``mem=`` on the command line hides from the kernel can be added later: first as blocks that are offline, then online,
which gives their pages to a zone and computes all reserves anew.
"""

from __future__ import annotations

import errno
from errno import EEXIST, EINVAL
from functools import partial
from typing import TYPE_CHECKING, Final

from kmock.kernel.resource import IORESOURCE_BUSY, IORESOURCE_SYSTEM_RAM, Resource, insert
from kmock.mm.layout import PAGE_SHIFT
from kmock.mm.zone_layout import SECTION_PAGES

if TYPE_CHECKING:
    from kmock.fs.files import KernelFiles
    from kmock.machine import Kernel

BLOCK_SIZE: Final = SECTION_PAGES << PAGE_SHIFT
_KERNEL: Final = "online_kernel"
_STATES: Final = ("online", _KERNEL, "online_movable")


class MemoryBlocks:
    """The blocks of memory that were added to one kernel."""

    __slots__ = ("kernel", "nodes", "states")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.states: dict[int, str] = {}
        """By block number: ``offline`` or ``online``."""
        self.nodes: dict[int, int] = {}

    def add(self, nid: int, start: int, size: int) -> int:
        """``add_memory()``: have blocks of memory, offline; -EINVAL for a bad range or node, -EEXIST for a known one."""
        k = self.kernel
        if size <= 0 or start % BLOCK_SIZE or size % BLOCK_SIZE:
            where = f"start {start:#x}, size {size:#x}"
            k.log.write(f"Block size [{BLOCK_SIZE:#x}] unaligned hotplug range: {where}")
            return -EINVAL
        if not 0 <= nid < len(k.config.topology) or not self._there(start, start + size):
            return -EINVAL
        ram = Resource(start, start + size - 1, "System RAM", IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY)
        if insert(k.resources.iomem, ram) is not None:
            k.log.write(f"Unable to reserve System RAM region: {start:016x}->{start + size:016x}")
            return -EEXIST
        for number in range(start // BLOCK_SIZE, (start + size) // BLOCK_SIZE):
            self.states[number] = "offline"
            self.nodes[number] = nid
        return 0

    def _there(self, start: int, end: int) -> bool:
        return any(a <= start and end <= b for a, b in self.kernel.ram.ranges)

    def online(self, number: int, how: str = "online") -> int:
        """``online_pages()`` of a block: give its pages to a zone; -EINVAL for a block that is not offline."""
        if self.states.get(number) != "offline":
            return -EINVAL
        k = self.kernel
        start = number * SECTION_PAGES
        zones = k.page_alloc.zones
        idx = zones.names.index("Movable" if how == "online_movable" else "Normal")
        if idx < len(zones.names) - 1:
            # default_kernel_zone_for_pfn(): a zone that reaches there already, NORMAL otherwise.
            around = [z for z in zones.nodes[self.nodes[number]].values() if z.span[0] < start + SECTION_PAGES]
            idx = next((z.idx for z in around if z.span[1] > start), idx)
        for pfn in range(start, start + SECTION_PAGES):
            k.memmap.pages.pop(pfn, None)
        zones.add_pages(self.nodes[number], idx, (start, start + SECTION_PAGES))
        k.page_alloc.contexts.clear()
        self.states[number] = "online"
        return 0

    # -- files ----------------------------------------------------------------------------------

    def state(self, number: str) -> str:
        """Text of a block's ``state``."""
        return f"{self._state(int(number))}\n"

    def _state(self, number: int) -> str:
        start = number * BLOCK_SIZE
        at_boot = any(a < start + BLOCK_SIZE and start < b for n in self.kernel.config.reported_ranges() for a, b in n)
        found = self.states.get(number, "online" if at_boot else "")
        if not found:
            raise OSError(errno.ENOENT, f"there is no block {number}")
        return found

    def set_state(self, text: str, number: str) -> int:
        """Write to a block's ``state``; memory in use stays online."""
        if text == "offline":
            return -errno.EBUSY if self._state(int(number)) == "online" else 0
        return self.online(int(number), text) if text in _STATES else -EINVAL


def attach(files: KernelFiles) -> None:
    """Add the files of ``/sys/devices/system/memory``."""
    blocks = files.kernel.memory_blocks
    files.add("/sys/devices/system/memory/block_size_bytes", lambda: f"{BLOCK_SIZE:x}\n")
    path = "/sys/devices/system/memory/memory{number}/state"
    files.add(path, partial(blocks.state), partial(blocks.set_state))
