"""Page protections: access bits, and the cache attribute (``arch/x86/include/asm/pgtable_types.h``, ``arch/x86/mm/pat/``)."""

from __future__ import annotations

from typing import Final

from kmock.hw.mmu import KERNEL_RW, PTE_DIRTY, PTE_NX, PTE_PAT, PTE_PCD, PTE_PWT, PTE_RW
from kmock.mm.memtype import UC, UC_MINUS, WB, WC, WP, WT

PAGE_KERNEL: Final = KERNEL_RW
PAGE_KERNEL_RO: Final = KERNEL_RW & ~(PTE_RW | PTE_DIRTY)
PAGE_KERNEL_EXEC: Final = KERNEL_RW & ~PTE_NX
PAGE_KERNEL_ROX: Final = PAGE_KERNEL_RO & ~PTE_NX
PAGE_KERNEL_NOCACHE: Final = KERNEL_RW | PTE_PCD | PTE_PWT

CACHE_MASK: Final = PTE_PWT | PTE_PCD | PTE_PAT
"""The bits that say how the processor caches a page: none for write-back."""

_BITS: Final = {
    WB: 0,
    WC: PTE_PWT,
    UC_MINUS: PTE_PCD,
    UC: PTE_PCD | PTE_PWT,
    WT: PTE_PAT | PTE_PCD | PTE_PWT,
    WP: PTE_PAT | PTE_PWT,
}
# Slots 4 and 6 of the PAT mean the same as 0 and 2.
_TYPES: Final = {bits: kind for kind, bits in _BITS.items()} | {PTE_PAT: WB, PTE_PAT | PTE_PCD: UC_MINUS}


def pgprot2cachemode(prot: int) -> int:
    """``pgprot2cachemode()``: the cache attribute that a protection stands for (``memtype.WB`` and so on)."""
    return _TYPES[prot & CACHE_MASK]


def with_cachemode(prot: int, kind: int) -> int:
    """Return ``prot`` with another cache attribute."""
    return prot & ~CACHE_MASK | _BITS[kind]


def pgprot_noncached(prot: int) -> int:
    """Return ``prot`` without caching, but for what an MTRR says of write combining."""
    return prot | _BITS[UC_MINUS]


def pgprot_writecombine(prot: int) -> int:
    """Return ``prot`` with write combining, as for a frame buffer."""
    return prot | _BITS[WC]


def pgprot_writethrough(prot: int) -> int:
    """Return ``prot`` with a write-through cache."""
    return prot | _BITS[WT]


def pgprot_nx(prot: int) -> int:
    """Return ``prot`` without leave to execute."""
    return prot | PTE_NX
