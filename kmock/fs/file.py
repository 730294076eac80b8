"""``struct inode``, ``struct file`` and their operations (``include/linux/fs.h``)."""

from __future__ import annotations

import os
from typing import Any

from kmock.lang.optable import OpTable
from kmock.mm.address_space import address_space

FMODE_READ = 0x1
FMODE_WRITE = 0x2
FMODE_LSEEK = 0x4
FMODE_PREAD = 0x8
FMODE_PWRITE = 0x10
FMODE_CAN_READ = 0x20000
FMODE_CAN_WRITE = 0x40000
FMODE_STREAM = 0x200000

MAX_RW_COUNT = 0x7FFF_F000
"""Most bytes that one read or write moves: INT_MAX rounded down to a page."""


class file_operations(OpTable):
    """What a driver does for a file. Every field may be left out; ``ioctl`` is the one of kernels before 2.6.36."""

    fields = (
        "owner",
        "llseek",
        "read",
        "write",
        "read_iter",
        "write_iter",
        "iopoll",
        "iterate",
        "iterate_shared",
        "poll",
        "ioctl",
        "unlocked_ioctl",
        "compat_ioctl",
        "mmap",
        "mmap_supported_flags",
        "open",
        "flush",
        "release",
        "fsync",
        "aio_fsync",
        "fasync",
        "lock",
        "readdir",
        "aio_read",
        "aio_write",
        "readv",
        "writev",
        "sendfile",
        "sendpage",
        "get_unmapped_area",
        "check_flags",
        "dir_notify",
        "flock",
        "splice_write",
        "splice_read",
        "setlease",
        "fallocate",
        "show_fdinfo",
        "copy_file_range",
        "remap_file_range",
        "fadvise",
        "uring_cmd",
    )


class Inode:
    """``struct inode`` of a device node: ``i_rdev`` says which device, ``i_cdev`` its driver's entry."""

    s_dev = 0x05
    """``inode->i_sb->s_dev``: the device that its file system is on, for nodes ``devtmpfs``'."""

    def __init__(self, i_ino: int, i_mode: int, i_rdev: int = 0) -> None:
        self.i_ino = i_ino
        self.i_mode = i_mode
        self.i_rdev = i_rdev
        self.i_cdev: Any = None
        self.i_private: Any = None
        self.i_size = 0
        self.i_mapping = address_space(self)

    def __repr__(self) -> str:
        return f"<inode {self.i_ino} of device {self.i_rdev >> 20}:{self.i_rdev & 0xFFFFF}>"


class Offset:
    """``loff_t *``: where in a file an operation starts, and where the driver leaves it.

    C's ``*f_pos`` is ``f_pos.value``, or ``f_pos[0]``.
    """

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value

    def __getitem__(self, index: int) -> int:
        self._check(index)
        return self.value

    def __setitem__(self, index: int, value: int) -> None:
        self._check(index)
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __repr__(self) -> str:
        return f"<loff_t {self.value}>"

    def _check(self, index: int) -> None:
        if index:
            raise IndexError(f"a loff_t * points to one loff_t: f_pos[0], not f_pos[{index}]")


class poll_table:
    """What a driver's ``poll`` names its wait queues to."""

    def __init__(self) -> None:
        self.queues: list[Any] = []


class File:
    """``struct file``: one open file."""

    def __init__(self, path: str, inode: Inode, f_flags: int, f_op: file_operations) -> None:
        self.path = path
        self.f_inode = inode
        self.f_flags = f_flags
        self.f_op = f_op
        self.f_pos = 0
        self.f_mode = ((f_flags & os.O_ACCMODE) + 1 & 3) | FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE
        self.private_data: Any = None
        self.cdev: Any = None
        """What answered for the device when it was opened."""
        self.open_seqs = (0, 0)
        """The machine's allocations before and after the driver's open."""
        self.f_count = 1
        """How many descriptors and areas of memory stand for it."""

    @property
    def f_mapping(self) -> address_space:
        """What its pages belong to, and who shows them."""
        return self.f_inode.i_mapping

    def __repr__(self) -> str:
        return f"<file {self.path}>"
