"""Page tables: which physical page a virtual page stands for, and what may be done with it.

One :class:`PageTable` is one address space's tables without the direct map, which is arithmetic and
needs none. Entries have the bits of an x86-64 page table entry.
"""

from __future__ import annotations

from typing import Final

PTE_PRESENT: Final = 1 << 0
PTE_RW: Final = 1 << 1
PTE_USER: Final = 1 << 2
PTE_PWT: Final = 1 << 3
PTE_PCD: Final = 1 << 4
PTE_ACCESSED: Final = 1 << 5
PTE_DIRTY: Final = 1 << 6
PTE_PAT: Final = 1 << 7
PTE_SPECIAL: Final = 1 << 9
PTE_NX: Final = 1 << 63
PTE_PFN_MASK: Final = 0x000F_FFFF_FFFF_F000

KERNEL_RW: Final = PTE_PRESENT | PTE_RW | PTE_ACCESSED | PTE_DIRTY | PTE_NX


class PageTable:
    """Virtual page number to entry. Lookup, insertion and removal are O(1)."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: dict[int, int] = {}

    def map(self, vpn: int, pfn: int, flags: int = KERNEL_RW) -> None:
        """Let virtual page ``vpn`` stand for page frame ``pfn``."""
        self.entries[vpn] = pfn << 12 | flags

    def unmap(self, vpn: int) -> int:
        """Remove the entry and return it; 0 where there was none."""
        return self.entries.pop(vpn, 0)

    def translate(self, address: int) -> int | None:
        """Return the physical address behind ``address``, or None where nothing is mapped."""
        entry = self.entries.get(address >> 12, 0)
        if not entry & PTE_PRESENT:
            return None
        return entry & PTE_PFN_MASK | address & 0xFFF
