"""The part of ``<linux/mm.h>`` about pages of files: faults on them, and truncation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.linux._api import Sleeps, Where, api
from kmock.mm import filemap, truncate

if TYPE_CHECKING:
    from kmock.fs.file import Inode
    from kmock.machine import Kernel
    from kmock.mm.address_space import address_space
    from kmock.mm.vm_fault import vm_fault


@api(since="2.6.23", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def filemap_fault(k: Kernel, *args: Any) -> int:
    """``(vmf)``: bring a page of a file for a ``fault`` handler, read from its disk if need be (``mm/filemap.c``).

    Returns ``VM_FAULT_LOCKED`` with ``vmf.page`` locked, referenced and up to date, and ``VM_FAULT_MAJOR`` with it
    where it was read; ``VM_FAULT_SIGBUS`` beyond the file's end or if it can't be read; ``VM_FAULT_OOM``. The area
    comes first until 4.10.
    """
    vmf: vm_fault = args[-1]
    return filemap.filemap_fault(vmf)


@api(since="3.7", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def filemap_page_mkwrite(k: Kernel, *args: Any) -> int:
    """``(vmf)``: mark the page of a shared mapping dirty that is about to be written to (``mm/filemap.c``).

    Returns ``VM_FAULT_LOCKED``, or ``VM_FAULT_NOPAGE`` if the page was truncated. The area comes first until 4.10.
    """
    vmf: vm_fault = args[-1]
    return filemap.filemap_page_mkwrite(vmf)


@api(since="2.6.36", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT)
def truncate_setsize(k: Kernel, inode: Inode, newsize: int) -> None:
    """Set a file's size in bytes, and drop the pages beyond from memory and from who maps them (``mm/truncate.c``)."""
    truncate.truncate_setsize(k, inode, newsize)


@api(since="2.6.32", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT)
def truncate_pagecache(k: Kernel, inode: Inode, *sizes: int) -> None:
    """``(inode, newsize)``: drop the pages beyond ``newsize``, which ``i_size`` is already (``mm/truncate.c``).

    Private copies that processes made of them go as well. Until 3.11 the old size comes first.
    """
    truncate.truncate_pagecache(k, inode, sizes[-1])


@api(since="2.3", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT)
def truncate_inode_pages(k: Kernel, mapping: address_space, lstart: int) -> None:
    """Drop the pages of a file from byte ``lstart`` on, dirty or not; the page that it lies in is zeroed from there on.

    Waits for pages that are locked (``mm/truncate.c``).
    """
    truncate.truncate_inode_pages(k, mapping, lstart)


__all__ = [
    "filemap_fault",
    "filemap_page_mkwrite",
    "truncate_inode_pages",
    "truncate_pagecache",
    "truncate_setsize",
]
