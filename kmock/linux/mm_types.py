"""``<linux/mm_types.h>``: ``struct page``, ``struct mm_struct``, ``struct vm_area_struct``, and page faults' flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm.mm_struct import mm_struct
from kmock.mm.page import Page as page
from kmock.mm.rmap import MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS
from kmock.mm.vm_fault import (
    FAULT_FLAG_ALLOW_RETRY,
    FAULT_FLAG_INSTRUCTION,
    FAULT_FLAG_INTERRUPTIBLE,
    FAULT_FLAG_KILLABLE,
    FAULT_FLAG_MKWRITE,
    FAULT_FLAG_REMOTE,
    FAULT_FLAG_RETRY_NOWAIT,
    FAULT_FLAG_TRIED,
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_USER,
    FAULT_FLAG_WRITE,
    VM_FAULT_COMPLETED,
    VM_FAULT_DONE_COW,
    VM_FAULT_ERROR,
    VM_FAULT_FALLBACK,
    VM_FAULT_HWPOISON,
    VM_FAULT_HWPOISON_LARGE,
    VM_FAULT_LOCKED,
    VM_FAULT_MAJOR,
    VM_FAULT_NEEDDSYNC,
    VM_FAULT_NOPAGE,
    VM_FAULT_OOM,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
    VM_FAULT_SIGSEGV,
    VM_FAULT_WRITE,
    vm_fault,
)
from kmock.mm.vma import vm_area_struct

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.6")
def page_private(k: Kernel, page: page) -> Any:
    """Return what the page's owner put into ``page->private``."""
    return page.private


@api(since="2.6")
def set_page_private(k: Kernel, page: page, private: Any) -> None:
    """Set ``page->private``, a number or any object."""
    page.private = private


__getattr__ = header_getattr(__name__, {"folio"})
__all__ = [
    "FAULT_FLAG_ALLOW_RETRY",
    "FAULT_FLAG_INSTRUCTION",
    "FAULT_FLAG_INTERRUPTIBLE",
    "FAULT_FLAG_KILLABLE",
    "FAULT_FLAG_MKWRITE",
    "FAULT_FLAG_REMOTE",
    "FAULT_FLAG_RETRY_NOWAIT",
    "FAULT_FLAG_TRIED",
    "FAULT_FLAG_UNSHARE",
    "FAULT_FLAG_USER",
    "FAULT_FLAG_WRITE",
    "MM_ANONPAGES",
    "MM_FILEPAGES",
    "MM_SHMEMPAGES",
    "MM_SWAPENTS",
    "VM_FAULT_COMPLETED",
    "VM_FAULT_DONE_COW",
    "VM_FAULT_ERROR",
    "VM_FAULT_FALLBACK",
    "VM_FAULT_HWPOISON",
    "VM_FAULT_HWPOISON_LARGE",
    "VM_FAULT_LOCKED",
    "VM_FAULT_MAJOR",
    "VM_FAULT_NEEDDSYNC",
    "VM_FAULT_NOPAGE",
    "VM_FAULT_OOM",
    "VM_FAULT_RETRY",
    "VM_FAULT_SIGBUS",
    "VM_FAULT_SIGSEGV",
    "VM_FAULT_WRITE",
    "mm_struct",
    "page",
    "page_private",
    "set_page_private",
    "vm_area_struct",
    "vm_fault",
]
