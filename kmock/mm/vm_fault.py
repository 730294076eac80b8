"""``struct vm_fault`` and what a fault handler answers (``include/linux/mm_types.h``, ``include/linux/mm.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.lang.ptr import NULL
from kmock.mm.gfp import GFP_HIGHUSER_MOVABLE, GFP_KERNEL

if TYPE_CHECKING:
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct

VM_FAULT_OOM: Final = 0x1
VM_FAULT_SIGBUS: Final = 0x2
VM_FAULT_MAJOR: Final = 0x4
VM_FAULT_WRITE: Final = 0x8
VM_FAULT_HWPOISON: Final = 0x10
VM_FAULT_HWPOISON_LARGE: Final = 0x20
VM_FAULT_SIGSEGV: Final = 0x40
VM_FAULT_NOPAGE: Final = 0x100
VM_FAULT_LOCKED: Final = 0x200
VM_FAULT_RETRY: Final = 0x400
VM_FAULT_FALLBACK: Final = 0x800
VM_FAULT_DONE_COW: Final = 0x1000
VM_FAULT_NEEDDSYNC: Final = 0x2000
VM_FAULT_COMPLETED: Final = 0x4000
VM_FAULT_ERROR: Final = (
    VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV | VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE | VM_FAULT_FALLBACK
)

VM_FAULT_MINOR: Final = 0
"""Until 4.x: a fault that needed no I/O, which needs no word for it."""

NOPAGE_SIGBUS: Final = NULL
NOPAGE_OOM: Final = -1
"""What ``nopage`` of kernels before 2.6.26 answers for a page."""

FAULT_FLAG_WRITE: Final = 1 << 0
FAULT_FLAG_MKWRITE: Final = 1 << 1
FAULT_FLAG_ALLOW_RETRY: Final = 1 << 2
FAULT_FLAG_RETRY_NOWAIT: Final = 1 << 3
FAULT_FLAG_KILLABLE: Final = 1 << 4
FAULT_FLAG_TRIED: Final = 1 << 5
FAULT_FLAG_USER: Final = 1 << 6
FAULT_FLAG_REMOTE: Final = 1 << 7
FAULT_FLAG_INSTRUCTION: Final = 1 << 8
FAULT_FLAG_INTERRUPTIBLE: Final = 1 << 9
FAULT_FLAG_UNSHARE: Final = 1 << 10
FAULT_FLAG_DEFAULT: Final = FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE | FAULT_FLAG_INTERRUPTIBLE

ZERO_PFN: Final = 0x10
"""The page that every untouched anonymous page reads as; it lies in what boot keeps for itself."""


class vm_fault:
    """What a fault handler is told: where in which area, and why; it answers in ``page``."""

    __slots__ = (
        "address",
        "cow_page",
        "flags",
        "gfp_mask",
        "orig_pte",
        "page",
        "pgoff",
        "pte",
        "real_address",
        "vma",
    )

    def __init__(self, vma: vm_area_struct, address: int, flags: int) -> None:
        self.vma = vma
        self.real_address = address
        self.address = address & -4096
        self.flags = flags
        self.pgoff = vma.pgoff_of(self.address)
        self.gfp_mask = GFP_KERNEL if vma.vm_file is None else GFP_HIGHUSER_MOVABLE
        self.orig_pte = 0
        self.pte = 0
        self.page: Page | None = None
        self.cow_page: Page | None = None

    @property
    def virtual_address(self) -> int:
        """What kernels before 4.10 had instead of ``address``."""
        return self.address
