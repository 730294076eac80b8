"""``<linux/pgtable.h>`` and ``<asm/pgtable.h>``: protections of pages, and entries of page tables.

A ``pgprot_t`` is a number here, and a ``pte_t`` is too.
"""

from __future__ import annotations

from kmock.hw.mmu import PTE_ACCESSED, PTE_DIRTY, PTE_PFN_MASK, PTE_RW, PTE_SPECIAL
from kmock.linux._header import header_getattr
from kmock.mm.mm_struct import PTE_SOFT_PRESENT
from kmock.mm.pgprot import (
    PAGE_KERNEL,
    PAGE_KERNEL_EXEC,
    PAGE_KERNEL_NOCACHE,
    PAGE_KERNEL_RO,
    pgprot_noncached,
    pgprot_nx,
    pgprot_writecombine,
    pgprot_writethrough,
)
from kmock.mm.vm_flags import PAGE_NONE, PAGE_READONLY, PAGE_SHARED
from kmock.mm.vma import pgprot_modify

PAGE_COPY = PAGE_READONLY
"""What a private page begins with: it is copied when it is first written to."""


def pgprot_device(prot: int) -> int:
    """Return ``prot`` as for device registers; on x86 as :func:`pgprot_noncached` does."""
    return pgprot_noncached(prot)


def pgprot_decrypted(prot: int) -> int:
    """Return ``prot`` for memory that the processor does not encrypt; no machine here encrypts any."""
    return prot


def pgprot_encrypted(prot: int) -> int:
    """Return ``prot`` for memory that the processor encrypts; no machine here encrypts any."""
    return prot


def __pgprot(x: int) -> int:
    """Make a ``pgprot_t`` of a number."""
    return x


def pgprot_val(prot: int) -> int:
    """Return the number of a ``pgprot_t``."""
    return prot


def pte_val(pte: int) -> int:
    """Return the number of an entry."""
    return pte


def pte_none(pte: int) -> bool:
    """Return whether an entry is empty."""
    return not pte


def pte_present(pte: int) -> bool:
    """Return whether there is a page, be it one that may not be accessed."""
    return bool(pte & PTE_SOFT_PRESENT)


def pte_write(pte: int) -> bool:
    """Return whether the page may be written to."""
    return bool(pte & PTE_RW)


def pte_dirty(pte: int) -> bool:
    """Return whether the page was written to."""
    return bool(pte & PTE_DIRTY)


def pte_young(pte: int) -> bool:
    """Return whether the page was accessed."""
    return bool(pte & PTE_ACCESSED)


def pte_special(pte: int) -> bool:
    """Return whether the entry only shows a frame, and counts for no page."""
    return bool(pte & PTE_SPECIAL)


def pte_pfn(pte: int) -> int:
    """Return the frame's number."""
    return (pte & PTE_PFN_MASK) >> 12


__getattr__ = header_getattr(__name__)
__all__ = [
    "PAGE_COPY",
    "PAGE_KERNEL",
    "PAGE_KERNEL_EXEC",
    "PAGE_KERNEL_NOCACHE",
    "PAGE_KERNEL_RO",
    "PAGE_NONE",
    "PAGE_READONLY",
    "PAGE_SHARED",
    "__pgprot",
    "pgprot_decrypted",
    "pgprot_device",
    "pgprot_encrypted",
    "pgprot_modify",
    "pgprot_noncached",
    "pgprot_nx",
    "pgprot_val",
    "pgprot_writecombine",
    "pgprot_writethrough",
    "pte_dirty",
    "pte_none",
    "pte_pfn",
    "pte_present",
    "pte_special",
    "pte_val",
    "pte_write",
    "pte_young",
]
