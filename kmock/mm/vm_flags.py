"""What an area of a process may be used for: ``VM_*`` (``include/linux/mm.h``), and the protection it gives its pages.

``arch/x86/mm/pgprot.c`` has the table from flags to protections.
"""

from __future__ import annotations

import mmap
from typing import Final

from kmock.hw.mmu import PTE_ACCESSED, PTE_NX, PTE_PRESENT, PTE_RW, PTE_USER

VM_NONE: Final = 0x0
VM_READ: Final = 0x1
VM_WRITE: Final = 0x2
VM_EXEC: Final = 0x4
VM_SHARED: Final = 0x8
VM_MAYREAD: Final = 0x10
VM_MAYWRITE: Final = 0x20
VM_MAYEXEC: Final = 0x40
VM_MAYSHARE: Final = 0x80
VM_GROWSDOWN: Final = 0x100
VM_PFNMAP: Final = 0x400
VM_LOCKED: Final = 0x2000
VM_IO: Final = 0x4000
VM_SEQ_READ: Final = 0x8000
VM_RAND_READ: Final = 0x1_0000
VM_DONTCOPY: Final = 0x2_0000
VM_DONTEXPAND: Final = 0x4_0000
VM_LOCKONFAULT: Final = 0x8_0000
VM_ACCOUNT: Final = 0x10_0000
VM_NORESERVE: Final = 0x20_0000
VM_HUGETLB: Final = 0x40_0000
VM_SYNC: Final = 0x80_0000
VM_ARCH_1: Final = 0x100_0000
VM_PAT: Final = VM_ARCH_1
VM_WIPEONFORK: Final = 0x200_0000
VM_DONTDUMP: Final = 0x400_0000
VM_SOFTDIRTY: Final = 0
"""No kernel here is built with CONFIG_MEM_SOFT_DIRTY."""
VM_MIXEDMAP: Final = 0x1000_0000
VM_HUGEPAGE: Final = 0x2000_0000
VM_NOHUGEPAGE: Final = 0x4000_0000
VM_MERGEABLE: Final = 0x8000_0000

VM_RESERVED: Final = VM_DONTEXPAND | VM_DONTDUMP
"""Until 3.6: an area that is not to be swapped out. These two took its place."""

VM_ACCESS_FLAGS: Final = VM_READ | VM_WRITE | VM_EXEC
VM_SPECIAL: Final = VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP
VM_LOCKED_MASK: Final = VM_LOCKED | VM_LOCKONFAULT

MNEMONICS: Final = {
    VM_READ: "rd",
    VM_WRITE: "wr",
    VM_EXEC: "ex",
    VM_SHARED: "sh",
    VM_MAYREAD: "mr",
    VM_MAYWRITE: "mw",
    VM_MAYEXEC: "me",
    VM_MAYSHARE: "ms",
    VM_GROWSDOWN: "gd",
    VM_PFNMAP: "pf",
    VM_LOCKED: "lo",
    VM_IO: "io",
    VM_SEQ_READ: "sr",
    VM_RAND_READ: "rr",
    VM_DONTCOPY: "dc",
    VM_DONTEXPAND: "de",
    VM_ACCOUNT: "ac",
    VM_NORESERVE: "nr",
    VM_HUGETLB: "ht",
    VM_SYNC: "sf",
    VM_ARCH_1: "ar",
    VM_WIPEONFORK: "wf",
    VM_DONTDUMP: "dd",
    VM_MIXEDMAP: "mm",
    VM_HUGEPAGE: "hg",
    VM_NOHUGEPAGE: "nh",
    VM_MERGEABLE: "mg",
}
"""How ``/proc/PID/smaps`` abbreviates each, in its order (``fs/proc/task_mmu.c``)."""

PTE_PROTNONE: Final = 1 << 8
"""A page that is there and that the processor may not touch: ``mprotect(PROT_NONE)``."""

PAGE_NONE: Final = PTE_ACCESSED | PTE_PROTNONE
PAGE_READONLY: Final = PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_NX
PAGE_SHARED: Final = PAGE_READONLY | PTE_RW

_PROTECTIONS: Final = tuple(
    PAGE_NONE
    if not flags & VM_ACCESS_FLAGS
    else PAGE_READONLY & ~(PTE_NX if flags & VM_EXEC else 0)
    # A private page is copied first, so it begins read-only.
    | (PTE_RW if flags & VM_WRITE and flags & VM_SHARED else 0)
    for flags in range(16)
)
_PROT_BITS: Final = ((mmap.PROT_READ, VM_READ), (mmap.PROT_WRITE, VM_WRITE), (mmap.PROT_EXEC, VM_EXEC))


def vm_get_page_prot(vm_flags: int) -> int:
    """``vm_get_page_prot()``: the protection of a page that lies in an area of those flags."""
    return _PROTECTIONS[vm_flags & 15]


def calc_vm_prot_bits(prot: int) -> int:
    """``calc_vm_prot_bits()``: ``VM_READ`` and its like for ``PROT_READ`` and its like."""
    return sum(flag for bit, flag in _PROT_BITS if prot & bit)


def is_cow_mapping(flags: int) -> bool:
    """``is_cow_mapping()``: whether a write copies the page first."""
    return flags & (VM_SHARED | VM_MAYWRITE) == VM_MAYWRITE
