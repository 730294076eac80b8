"""Reading, writing and seeking in an open file (``fs/read_write.c``)."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from kmock.fs.file import (
    FMODE_CAN_READ,
    FMODE_CAN_WRITE,
    FMODE_LSEEK,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_READ,
    FMODE_STREAM,
    FMODE_WRITE,
    MAX_RW_COUNT,
    Offset,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.fs.file import File, Inode
    from kmock.lang.ptr import Ptr


class Way:
    """Reading or writing: which mode bits it takes, and which operation does it."""

    def __init__(self, name: str, mode: int, can: int, at_offset: int) -> None:
        self.name = name
        self.mode = mode
        self.can = can
        self.at_offset = at_offset


READ = Way("read", FMODE_READ, FMODE_CAN_READ, FMODE_PREAD)
WRITE = Way("write", FMODE_WRITE, FMODE_CAN_WRITE, FMODE_PWRITE)


def opened(file: File) -> None:
    """What ``do_dentry_open()`` does after the driver's open: note what the file can do."""
    if file.f_mode & FMODE_READ and file.f_op.read is not None:
        file.f_mode |= FMODE_CAN_READ
    if file.f_mode & FMODE_WRITE and file.f_op.write is not None:
        file.f_mode |= FMODE_CAN_WRITE
    if file.f_mode & FMODE_LSEEK and file.f_op.llseek is None:
        file.f_mode &= ~FMODE_LSEEK


def transfer(file: File, way: Way, buffer: Ptr, count: int, at: int | None = None) -> int:
    """``vfs_read()`` and ``vfs_write()``: move up to ``count`` bytes; the number moved, or -errno.

    ``at`` is the offset of pread and pwrite, which leave the file's own alone.
    """
    if not file.f_mode & way.mode:
        return -errno.EBADF
    if at is not None and not file.f_mode & way.at_offset:
        return -errno.ESPIPE
    if not file.f_mode & way.can:
        return -errno.EINVAL
    if at is not None and at < 0:
        return -errno.EINVAL
    offset = Offset(file.f_pos if at is None else at)
    operation: Callable[..., Any] = getattr(file.f_op, way.name)
    result = operation(file, buffer, min(count, MAX_RW_COUNT), offset)
    if isinstance(result, tuple):
        result, offset.value = result
    if result is None:
        raise TypeError(
            f"{operation.__qualname__}() returned None; a {way.name} operation returns a number of bytes or -errno"
        )
    if at is None and not file.f_mode & FMODE_STREAM:
        file.f_pos = offset.value
    # Not int(): whoever looks at it wants to know where it comes from.
    return result  # type: ignore[no-any-return]


def llseek(file: File, offset: int, whence: int) -> int:
    """``vfs_llseek()``: the new offset, or -errno."""
    if not file.f_mode & FMODE_LSEEK:
        return -errno.ESPIPE
    return int(file.f_op.llseek(file, offset, whence))


# -- what drivers put in their tables -----------------------------------------------------------------


def setpos(file: File, offset: int, most: int = (1 << 63) - 1) -> int:
    """``vfs_setpos()``: move to ``offset`` if it is allowed; it, or -EINVAL."""
    if offset < 0 or offset > most:
        return -errno.EINVAL
    file.f_pos = offset
    return offset


def seek_from_size(file: File, offset: int, whence: int, size: int, most: int = (1 << 63) - 1) -> int:
    """``generic_file_llseek_size()`` without holes: ``SEEK_END`` counts from ``size``."""
    starts = {os.SEEK_SET: 0, os.SEEK_CUR: file.f_pos, os.SEEK_END: size}
    if whence in starts:
        return setpos(file, starts[whence] + offset, most)
    if whence in (os.SEEK_DATA, os.SEEK_HOLE):
        if not 0 <= offset < size:
            return -errno.ENXIO
        return setpos(file, offset if whence == os.SEEK_DATA else size, most)
    return -errno.EINVAL


def stream_open(inode: Inode, file: File) -> int:
    """``stream_open()``: the file has no position at all."""
    file.f_mode &= ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE)
    file.f_mode |= FMODE_STREAM
    return 0


def nonseekable_open(inode: Inode, file: File) -> int:
    """``nonseekable_open()``: no seeking, no pread, no pwrite."""
    file.f_mode &= ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE)
    return 0
