"""``<linux/fcntl.h>``: how a file is opened."""

from __future__ import annotations

from kmock.linux._header import header_getattr

O_ACCMODE = 0o3
O_RDONLY = 0o0
O_WRONLY = 0o1
O_RDWR = 0o2
O_CREAT = 0o100
O_EXCL = 0o200
O_TRUNC = 0o1000
O_APPEND = 0o2000
O_NONBLOCK = 0o4000
O_NDELAY = O_NONBLOCK
O_DSYNC = 0o10000
O_DIRECT = 0o40000
O_SYNC = 0o4010000

__getattr__ = header_getattr(__name__)
__all__ = [
    "O_ACCMODE",
    "O_APPEND",
    "O_CREAT",
    "O_DIRECT",
    "O_DSYNC",
    "O_EXCL",
    "O_NDELAY",
    "O_NONBLOCK",
    "O_RDONLY",
    "O_RDWR",
    "O_SYNC",
    "O_TRUNC",
    "O_WRONLY",
]
