"""Ordinary files: a file system with a disk for each file, and nothing of its own between page cache and disk.

What a file system's driver does is ``address_space_operations``; all else is the kernel's generic code, as in
``fs/minix`` or ``fs/ext2``.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any

from kmock.fs.file import FMODE_WRITE, Inode, file_operations
from kmock.fs.read_write import seek_from_size
from kmock.hw.disk import Disk
from kmock.mm.address_space import address_space_operations
from kmock.mm.filemap import (
    PAGE_SIZE,
    filemap_read,
    filemap_write_and_wait_range,
    generic_file_mmap,
    generic_perform_write,
)
from kmock.mm.page import PG_uptodate
from kmock.mm.page_writeback import filemap_dirty_folio
from kmock.mm.truncate import truncate_setsize

if TYPE_CHECKING:
    from kmock.fs.file import File, Offset
    from kmock.machine import Kernel
    from kmock.mm.page import Page

ROOT = "/mnt/"
FIRST_INO = 12


class DiskInode(Inode):
    """An ordinary file: byte ``n`` of it is byte ``n`` of its disk."""

    s_dev = 0x1F

    def __init__(self, i_ino: int, path: str, size: int, i_fop: file_operations) -> None:
        super().__init__(i_ino, stat.S_IFREG | 0o644)
        self.path = path
        """Where processes find it."""
        self.disk = Disk()
        self.i_size = size
        self.i_fop = i_fop

    def __repr__(self) -> str:
        return f"<inode {self.i_ino} of {self.path}>"


class DiskFs:
    """The ordinary files of one machine, by path."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.inodes: dict[str, DiskInode] = {}
        self._inodes = FIRST_INO - 1
        self.a_ops = address_space_operations(
            read_folio=self._read_folio, writepage=self._writepage, dirty_folio=filemap_dirty_folio
        )
        self.fops = file_operations(
            llseek=_llseek, read=self._read, write=self._write, mmap=generic_file_mmap, fsync=self._fsync
        )

    def make(self, size: int, path: str = "") -> DiskInode:
        """Make a file of ``size`` zeroes, of which none is in memory; FileExistsError if there is one at ``path``."""
        self._inodes += 1
        path = path or f"{ROOT}file{self._inodes}"
        if path in self.inodes:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        inode = self.inodes[path] = DiskInode(self._inodes, path, size, self.fops)
        inode.i_mapping.a_ops = self.a_ops
        inode.i_mapping.can_writeback = True
        return inode

    def lookup(self, path: str, flags: int) -> DiskInode | None:
        """Return the file at ``path``; with ``O_CREAT`` it is made below ``/mnt`` if there is none."""
        inode = self.inodes.get(path)
        if inode is None and flags & os.O_CREAT and path.startswith(ROOT):
            return self.make(0, path)
        return inode

    def truncate(self, inode: DiskInode, size: int) -> None:
        """Give a file another size: what its ``setattr`` does."""
        truncate_setsize(self.kernel, inode, size)
        inode.disk.discard(size)

    def ftruncate(self, file: File, size: int) -> int:
        """``do_sys_ftruncate()``: 0, or -EINVAL for what can't be cut."""
        if size < 0 or not isinstance(file.f_inode, DiskInode) or not file.f_mode & FMODE_WRITE:
            return -errno.EINVAL
        self.truncate(file.f_inode, size)
        return 0

    # -- pages ------------------------------------------------------------------------------------

    def _read_folio(self, file: Any, page: Page) -> int:
        k = self.kernel
        data = page.mapping.host.disk.read(page.index * PAGE_SIZE, PAGE_SIZE)
        k.ram.bytes[page.phys : page.phys + PAGE_SIZE] = data
        page.set(PG_uptodate)
        k.page_alloc.locks.unlock(page)
        return 0

    def _writepage(self, page: Page, wbc: object) -> int:
        # block_write_full_page(): what lies beyond the file's end is nobody's.
        k = self.kernel
        inode = page.mapping.host
        start = page.index * PAGE_SIZE
        n = min(inode.i_size - start, PAGE_SIZE)
        if n > 0:
            inode.disk.write(start, k.ram.bytes[page.phys : page.phys + n])
        k.page_alloc.locks.unlock(page)
        return 0

    # -- files ------------------------------------------------------------------------------------

    def _read(self, file: File, buffer: int, count: int, pos: Offset) -> int:
        done = filemap_read(self.kernel, file, buffer, count, pos.value)
        pos.value += max(done, 0)
        return done

    def _write(self, file: File, buffer: int, count: int, pos: Offset) -> int:
        if file.f_flags & os.O_APPEND:
            pos.value = file.f_inode.i_size
        done = generic_perform_write(self.kernel, file, buffer, count, pos.value)
        pos.value += max(done, 0)
        return done

    def _fsync(self, file: File, start: int, end: int, datasync: int) -> int:
        return filemap_write_and_wait_range(self.kernel, file.f_mapping, start, end)


def _llseek(file: File, offset: int, whence: int) -> int:
    # generic_file_llseek()
    return seek_from_size(file, offset, whence, file.f_inode.i_size)
