"""The page cache: pages of files that are in memory, how they come there and go to the disk (``mm/filemap.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from kmock.mm.cow import user_page
from kmock.mm.page import PG_locked, PG_uptodate
from kmock.mm.page_writeback import WB_SYNC_ALL, set_page_dirty, write_cache_pages, writeback_control
from kmock.mm.rmap import put_user_page
from kmock.mm.vm_fault import (
    VM_FAULT_LOCKED,
    VM_FAULT_MAJOR,
    VM_FAULT_NOPAGE,
    VM_FAULT_OOM,
    VM_FAULT_SIGBUS,
    vm_fault,
)
from kmock.mm.vma import vm_area_struct, vm_operations_struct

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.address_space import address_space
    from kmock.mm.page import Page

PAGE_SIZE: Final = 4096
_F_MAPPING: Final = 0xD8
"""``offsetof(struct file, f_mapping)``."""


# -- what is there --------------------------------------------------------------------------------


def filemap_get_page(mapping: address_space, index: int) -> Page | None:
    """``filemap_get_folio()``: take a reference to a page that is in memory; None for one that isn't."""
    page = mapping.i_pages.get(index)
    if page is not None:
        page._refcount += 1
    return page


def filemap_add_page(mapping: address_space, page: Page, index: int) -> None:
    """``filemap_add_folio()``: put a fresh page into the cache, which takes a reference; it is locked from then on."""
    page.set(PG_locked)
    page._refcount += 1
    page.mapping = mapping
    page.index = index
    mapping.i_pages[index] = page


def filemap_remove_page(k: Kernel, page: Page) -> None:
    """``filemap_remove_folio()``: take a locked page out of the cache; who else holds it keeps it."""
    del page.mapping.i_pages[page.index]
    page.mapping = None
    put_user_page(k, page)


def lock_page_of(k: Kernel, mapping: address_space, index: int) -> Page | None:
    """``__filemap_get_folio(FGP_LOCK | FGP_CREAT)``: take a page, locked, and make it if need be; None without memory.

    One that was made holds nothing of the file yet, and is not up to date.
    """
    while True:
        page = filemap_get_page(mapping, index)
        if page is None:
            page = user_page(k)
            if page is not None:
                filemap_add_page(mapping, page, index)
            return page
        k.page_alloc.locks.lock(page)
        if page.mapping is mapping:
            return page
        unlock_and_put(k, page)  # it was truncated while we slept


def unlock_and_put(k: Kernel, page: Page) -> None:
    """Let go of a page from :func:`lock_page_of`."""
    k.page_alloc.locks.unlock(page)
    put_user_page(k, page)


def read_page(k: Kernel, mapping: address_space, page: Page, file: Any = None) -> int:
    """``filemap_read_folio()``: have the file system fill a locked page, which is locked again after; 0 or -errno."""
    if page.test(PG_uptodate):
        return 0
    assert mapping.a_ops is not None
    err = int(mapping.a_ops.read_folio(file, page) or 0)
    k.page_alloc.locks.lock(page)
    if err:
        return err
    return 0 if page.test(PG_uptodate) else -errno.EIO


# -- mappings -------------------------------------------------------------------------------------


def filemap_fault(vmf: vm_fault) -> int:
    """``filemap_fault()``: bring a page of a file, up to date and locked."""
    k = vmf.vma.vm_mm.kernel
    if vmf.vma.vm_file is None:
        k.kasan.page_fault(_F_MAPPING, write=False, origin=None, by="filemap_fault", n=8)
    mapping: address_space = vmf.vma.vm_file.f_mapping
    if _beyond(mapping, vmf.pgoff):
        return VM_FAULT_SIGBUS
    major = 0 if vmf.pgoff in mapping.i_pages else VM_FAULT_MAJOR
    page = lock_page_of(k, mapping, vmf.pgoff)
    if page is None:
        return VM_FAULT_OOM
    # The file may have shrunk while we slept.
    if read_page(k, mapping, page, vmf.vma.vm_file) or _beyond(mapping, vmf.pgoff):
        unlock_and_put(k, page)
        return VM_FAULT_SIGBUS
    vmf.page = page
    return VM_FAULT_LOCKED | major


def _beyond(mapping: address_space, index: int) -> bool:
    return bool(index >= -(-mapping.host.i_size // PAGE_SIZE))


def filemap_page_mkwrite(vmf: vm_fault) -> int:
    """``filemap_page_mkwrite()``: a page of a shared mapping is about to be written to: it is dirty from now on."""
    k = vmf.vma.vm_mm.kernel
    page = vmf.page
    assert page is not None
    k.page_alloc.locks.lock(page)
    if page.mapping is not vmf.vma.vm_file.f_mapping:
        k.page_alloc.locks.unlock(page)
        return VM_FAULT_NOPAGE
    set_page_dirty(page)
    return VM_FAULT_LOCKED


generic_file_vm_ops: Final = vm_operations_struct(fault=filemap_fault, page_mkwrite=filemap_page_mkwrite)


def generic_file_mmap(file: Any, vma: vm_area_struct) -> int:
    """``generic_file_mmap()``: show the page cache in an area; -ENOEXEC for what has none."""
    a_ops = file.f_mapping.a_ops
    if a_ops is None or a_ops.read_folio is None:
        return -errno.ENOEXEC
    vma.vm_ops = generic_file_vm_ops
    return 0


# -- to the disk ----------------------------------------------------------------------------------


def filemap_write_and_wait_range(k: Kernel, mapping: address_space, lstart: int, lend: int) -> int:
    """``filemap_write_and_wait_range()``: write the dirty pages of ``[lstart, lend]`` to the disk; 0 or -errno.

    An error of an earlier write that nobody was told of is told here, once.
    """
    if lend < lstart:
        return 0
    err = 0
    if mapping.i_pages and mapping.can_writeback:
        err = write_cache_pages(k, mapping, writeback_control(WB_SYNC_ALL, lstart, lend))
    earlier, mapping.error = mapping.error, 0
    return err or earlier


# -- reading and writing --------------------------------------------------------------------------


def filemap_read(k: Kernel, file: Any, to: int, count: int, pos: int) -> int:
    """``filemap_read()``: copy up to ``count`` bytes of a file from ``pos`` on to a process; how many, or -errno."""
    mapping: address_space = file.f_mapping
    done = 0
    while done < count and pos + done < mapping.host.i_size:
        index, offset = divmod(pos + done, PAGE_SIZE)
        page = _page_to_read(k, mapping, index, file)
        if isinstance(page, int):
            return done or page
        n = min(PAGE_SIZE - offset, count - done, mapping.host.i_size - pos - done)
        start = page.phys + offset
        copied = k.uaccess.write(to + done, k.ram.bytes[start : start + n])
        put_user_page(k, page)
        done += copied
        if copied < n:
            return done or -errno.EFAULT
    return done


def _page_to_read(k: Kernel, mapping: address_space, index: int, file: Any) -> Page | int:
    # filemap_get_pages(), for one page: what is up to date needs no lock
    page = filemap_get_page(mapping, index)
    if page is not None:
        if page.test(PG_uptodate):
            return page
        put_user_page(k, page)
    page = lock_page_of(k, mapping, index)
    if page is None:
        return -errno.ENOMEM
    err = read_page(k, mapping, page, file)
    k.page_alloc.locks.unlock(page)
    if err:
        put_user_page(k, page)
    return err or page


def generic_perform_write(k: Kernel, file: Any, source: int, count: int, pos: int) -> int:
    """``generic_perform_write()``: copy bytes of a process to a file's pages, which are dirty then; how many, or -errno."""
    mapping: address_space = file.f_mapping
    done = 0
    while done < count:
        index, offset = divmod(pos + done, PAGE_SIZE)
        # Brought in before a page is locked: it may be the very page that is written to.
        data = k.uaccess.read(source + done, min(PAGE_SIZE - offset, count - done))
        if not data:
            return done or -errno.EFAULT
        page = lock_page_of(k, mapping, index)
        if page is None:
            return done or -errno.ENOMEM
        err = read_page(k, mapping, page, file) if len(data) < PAGE_SIZE else 0
        if not err:
            _write_page(k, page, offset, data)
            mapping.host.i_size = max(mapping.host.i_size, pos + done + len(data))
            done += len(data)
        unlock_and_put(k, page)
        if err:
            return done or err
    return done


def _write_page(k: Kernel, page: Page, offset: int, data: bytes) -> None:
    start = page.phys + offset
    k.ram.bytes[start : start + len(data)] = data
    page.set(PG_uptodate)
    set_page_dirty(page)
