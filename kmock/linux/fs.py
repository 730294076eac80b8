"""``<linux/fs.h>``: files, inodes, and the numbers and operations of character devices."""

from __future__ import annotations

from os import SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET
from typing import TYPE_CHECKING, Any

from kmock.fs import read_write
from kmock.fs.char_dev import CHRDEV_MAJOR_MAX, MAJOR, MINOR, MKDEV
from kmock.fs.file import (
    FMODE_LSEEK,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_READ,
    FMODE_WRITE,
    file_operations,
)
from kmock.fs.file import (
    File as file,
)
from kmock.fs.file import (
    Inode as inode,
)
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.errno import EFAULT, EINVAL, ESPIPE
from kmock.linux.fcntl import O_ACCMODE, O_APPEND, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY
from kmock.linux.kdev_t import MINORBITS, MINORMASK
from kmock.mm import filemap

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.address_space import address_space
    from kmock.mm.vma import vm_area_struct

_LLONG_MAX = (1 << 63) - 1


# -- device numbers -----------------------------------------------------------------------------------


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, undo="unregister_chrdev_region", fails=True)
def alloc_chrdev_region(k: Kernel, baseminor: int, count: int, name: str) -> tuple[int, int]:
    """Reserve ``count`` device numbers with a free major; return 0 or -errno, and the first number."""
    region = k.chrdevs.register_region(0, baseminor, count, name)
    err = k.modules.outcome("device numbers", region if isinstance(region, int) else 0)
    return (err, 0) if isinstance(region, int) else (err, MKDEV(region.major, region.baseminor))


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, undo="unregister_chrdev_region", fails=True)
def register_chrdev_region(k: Kernel, from_: int, count: int, name: str) -> int:
    """Reserve ``count`` device numbers from ``from_`` on; 0, or -EBUSY where one is taken."""
    region = k.chrdevs.register_region(MAJOR(from_), MINOR(from_), count, name)
    return k.modules.outcome("device numbers", region if isinstance(region, int) else 0)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS)
def unregister_chrdev_region(k: Kernel, from_: int, count: int) -> None:
    """Give back exactly what was reserved."""
    k.chrdevs.unregister_region(from_, count)


@api(since="1.0", sleeps=Sleeps.ALWAYS, undo="unregister_chrdev", fails=True)
def register_chrdev(k: Kernel, major: int, name: str, fops: file_operations) -> int:
    """Take 256 minors of ``major`` and answer for them; 0, or the major if that was 0, or -errno."""
    return k.modules.outcome("device numbers", k.chrdevs.register(major, 0, 256, name, fops))


@api(since="1.0", sleeps=Sleeps.ALWAYS)
def unregister_chrdev(k: Kernel, major: int, name: str) -> int:
    """Take back :func:`register_chrdev`; 0 always, as kernels that returned something returned it."""
    k.chrdevs.unregister(major, 0, 256)
    return 0


@api(since="2.6.34", sleeps=Sleeps.ALWAYS, undo="__unregister_chrdev", fails=True)
def __register_chrdev(k: Kernel, major: int, baseminor: int, count: int, name: str, fops: file_operations) -> int:
    """:func:`register_chrdev` for ``count`` minors from ``baseminor`` on."""
    return k.modules.outcome("device numbers", k.chrdevs.register(major, baseminor, count, name, fops))


@api(since="2.6.34", sleeps=Sleeps.ALWAYS)
def __unregister_chrdev(k: Kernel, major: int, baseminor: int, count: int, name: str) -> None:
    """Take back :func:`__register_chrdev`."""
    k.chrdevs.unregister(major, baseminor, count)


@api(since="2.6.0")
def imajor(k: Kernel, inode: inode) -> int:
    """The major number of a device node."""
    return MAJOR(inode.i_rdev)


@api(since="2.6.0")
def iminor(k: Kernel, inode: inode) -> int:
    """The minor number of a device node."""
    return MINOR(inode.i_rdev)


@api(since="3.9")
def file_inode(k: Kernel, f: file) -> inode:
    """The inode of an open file."""
    return f.f_inode


@api(since="2.6.0")
def i_size_read(k: Kernel, inode: inode) -> int:
    """The size of a file."""
    return inode.i_size


@api(since="2.6.0")
def i_size_write(k: Kernel, inode: inode, i_size: int) -> None:
    """Set the size of a file."""
    inode.i_size = i_size


# -- ready-made operations ------------------------------------------------------------------------------


@api(since="2.1")
def no_llseek(k: Kernel, file: file, offset: int, whence: int) -> int:
    """An ``llseek`` that refuses: -ESPIPE."""
    return -ESPIPE


@api(since="2.6.35")
def noop_llseek(k: Kernel, file: file, offset: int, whence: int) -> int:
    """An ``llseek`` that accepts everything and does nothing."""
    return file.f_pos


@api(since="2.1")
def default_llseek(k: Kernel, file: file, offset: int, whence: int) -> int:
    """An ``llseek`` that moves anywhere; ``SEEK_END`` counts from the inode's size."""
    return read_write.seek_from_size(file, offset, whence, file.f_inode.i_size)


@api(since="3.5")
def fixed_size_llseek(k: Kernel, file: file, offset: int, whence: int, size: int) -> int:
    """An ``llseek`` for a device of ``size`` bytes."""
    return read_write.seek_from_size(file, offset, whence, size, size)


@api(since="2.1")
def generic_file_llseek(k: Kernel, file: file, offset: int, whence: int) -> int:
    """An ``llseek`` for files of the inode's size."""
    return read_write.seek_from_size(file, offset, whence, file.f_inode.i_size)


@api(since="3.10")
def vfs_setpos(k: Kernel, file: file, offset: int, maxsize: int = _LLONG_MAX) -> int:
    """Move to ``offset`` if it lies in ``[0, maxsize]``; it, or -EINVAL."""
    return read_write.setpos(file, offset, maxsize)


@api(since="2.6.0")
def nonseekable_open(k: Kernel, inode: inode, filp: file) -> int:
    """Have the file know no seeking; 0."""
    return read_write.nonseekable_open(inode, filp)


@api(since="5.2")
def stream_open(k: Kernel, inode: inode, filp: file) -> int:
    """Have the file know no position at all; 0."""
    return read_write.stream_open(inode, filp)


@api(since="2.6.0")
def simple_open(k: Kernel, inode: inode, file: file) -> int:
    """Hand the inode's private data to the file; 0."""
    if inode.i_private is not None:
        file.private_data = inode.i_private
    return 0


@api(since="2.6.5", sleeps=Sleeps.ALWAYS, sleeper="usercopy-atomic", fails=True)
def simple_read_from_buffer(k: Kernel, to: int, count: int, ppos: Any, from_: Ptr, available: int) -> int:
    """Serve a read from a buffer of ``available`` bytes; the number read, or -errno."""
    pos = ppos.value
    if pos < 0:
        return -EINVAL
    count = min(count, available - pos)
    if count <= 0:
        return 0
    left = k.uaccess.copy_to_user(to, from_ + pos, count)
    if left == count:
        return -EFAULT
    ppos.value = pos + count - left
    return count - left


@api(since="2.6.34", sleeps=Sleeps.ALWAYS, sleeper="usercopy-atomic", fails=True)
def simple_write_to_buffer(k: Kernel, to: Ptr, available: int, ppos: Any, from_: int, count: int) -> int:
    """Serve a write into a buffer of ``available`` bytes; the number written, or -errno."""
    pos = ppos.value
    if pos < 0:
        return -EINVAL
    count = min(count, available - pos)
    if count <= 0:
        return 0
    left = k.uaccess.copy_from_user(to + pos, from_, count)
    if left == count:
        return -EFAULT
    ppos.value = pos + count - left
    return count - left


# -- the page cache -------------------------------------------------------------------------------------


@api(since="2.0", fails=True)
def generic_file_mmap(k: Kernel, file: file, vma: vm_area_struct) -> int:
    """Have an area show a file's pages, a ``mmap`` operation; 0, or -ENOEXEC for a file without any (``mm/filemap.c``)."""
    return filemap.generic_file_mmap(file, vma)


@api(since="2.6.17", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def filemap_write_and_wait_range(k: Kernel, mapping: address_space, lstart: int, lend: int) -> int:
    """Write the dirty pages of bytes ``[lstart, lend]``, the last included, to the disk; 0 or -errno (``mm/filemap.c``).

    The error of a write that nobody was told of is told once, and forgotten.
    """
    return filemap.filemap_write_and_wait_range(k, mapping, lstart, lend)


__getattr__ = header_getattr(
    __name__,
    not_built={
        "address_space_operations",
        "filemap_fdatawait",
        "filemap_fdatawait_range",
        "filemap_flush",
        "generic_file_aio_read",
        "generic_file_aio_write",
        "generic_file_read_iter",
        "generic_file_write_iter",
        "register_filesystem",
    },
)
__all__ = [
    "CHRDEV_MAJOR_MAX",
    "FMODE_LSEEK",
    "FMODE_PREAD",
    "FMODE_PWRITE",
    "FMODE_READ",
    "FMODE_WRITE",
    "MAJOR",
    "MINOR",
    "MINORBITS",
    "MINORMASK",
    "MKDEV",
    "O_ACCMODE",
    "O_APPEND",
    "O_NONBLOCK",
    "O_RDONLY",
    "O_RDWR",
    "O_WRONLY",
    "SEEK_CUR",
    "SEEK_DATA",
    "SEEK_END",
    "SEEK_HOLE",
    "SEEK_SET",
    "__register_chrdev",
    "__unregister_chrdev",
    "alloc_chrdev_region",
    "default_llseek",
    "file",
    "file_inode",
    "file_operations",
    "filemap_write_and_wait_range",
    "fixed_size_llseek",
    "generic_file_llseek",
    "generic_file_mmap",
    "i_size_read",
    "i_size_write",
    "imajor",
    "iminor",
    "inode",
    "no_llseek",
    "nonseekable_open",
    "noop_llseek",
    "register_chrdev",
    "register_chrdev_region",
    "simple_open",
    "simple_read_from_buffer",
    "simple_write_to_buffer",
    "stream_open",
    "unregister_chrdev",
    "unregister_chrdev_region",
    "vfs_setpos",
]
