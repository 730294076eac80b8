"""Page protections of the kernel's own mappings (``arch/x86/include/asm/pgtable_types.h``)."""

from __future__ import annotations

from typing import Final

from kmock.hw.mmu import KERNEL_RW, PTE_DIRTY, PTE_NX, PTE_PCD, PTE_PWT, PTE_RW

PAGE_KERNEL: Final = KERNEL_RW
PAGE_KERNEL_RO: Final = KERNEL_RW & ~(PTE_RW | PTE_DIRTY)
PAGE_KERNEL_EXEC: Final = KERNEL_RW & ~PTE_NX
PAGE_KERNEL_ROX: Final = PAGE_KERNEL_RO & ~PTE_NX
PAGE_KERNEL_NOCACHE: Final = KERNEL_RW | PTE_PCD | PTE_PWT

CACHE_MASK: Final = PTE_PCD | PTE_PWT
"""The bits that say how the processor caches a page: none for write-back."""


def pgprot_noncached(prot: int) -> int:
    """Return ``prot`` without caching."""
    return prot | CACHE_MASK


def pgprot_writecombine(prot: int) -> int:
    """Return ``prot`` with write combining."""
    return prot & ~CACHE_MASK | PTE_PWT


def pgprot_nx(prot: int) -> int:
    """Return ``prot`` without leave to execute."""
    return prot | PTE_NX
