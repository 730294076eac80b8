"""``<linux/ioctl.h>``: how an ioctl command number is put together.

``_IOR('k', 1, u32)``: direction, the driver's magic letter, a number, and the type of what ``arg`` points to.
"""

from __future__ import annotations

from typing import Any

from kmock.lang.struct import sizeof
from kmock.linux._header import header_getattr

_IOC_NRBITS = 8
_IOC_TYPEBITS = 8
_IOC_SIZEBITS = 14
_IOC_DIRBITS = 2
_IOC_NRMASK = (1 << _IOC_NRBITS) - 1
_IOC_TYPEMASK = (1 << _IOC_TYPEBITS) - 1
_IOC_SIZEMASK = (1 << _IOC_SIZEBITS) - 1
_IOC_DIRMASK = (1 << _IOC_DIRBITS) - 1
_IOC_NRSHIFT = 0
_IOC_TYPESHIFT = _IOC_NRSHIFT + _IOC_NRBITS
_IOC_SIZESHIFT = _IOC_TYPESHIFT + _IOC_TYPEBITS
_IOC_DIRSHIFT = _IOC_SIZESHIFT + _IOC_SIZEBITS
_IOC_NONE = 0
_IOC_WRITE = 1
_IOC_READ = 2


def _IOC(dir: int, type: str | int, nr: int, size: int) -> int:
    """Make a command number; ``type`` is the magic, a letter or a number."""
    magic = ord(type) if isinstance(type, str) else type
    return dir << _IOC_DIRSHIFT | magic << _IOC_TYPESHIFT | nr << _IOC_NRSHIFT | size << _IOC_SIZESHIFT


def _size(of: Any) -> int:
    # `int` is C's, of four bytes.
    return 4 if of is int else of if isinstance(of, int) else sizeof(of)


def _IO(type: str | int, nr: int) -> int:
    """A command without an argument in memory."""
    return _IOC(_IOC_NONE, type, nr, 0)


def _IOR(type: str | int, nr: int, size: Any) -> int:
    """A command that the process reads a result from; ``size`` is the result's type, or its bytes."""
    return _IOC(_IOC_READ, type, nr, _size(size))


def _IOW(type: str | int, nr: int, size: Any) -> int:
    """A command that the process writes an argument for."""
    return _IOC(_IOC_WRITE, type, nr, _size(size))


def _IOWR(type: str | int, nr: int, size: Any) -> int:
    """A command whose argument is read, and then written."""
    return _IOC(_IOC_READ | _IOC_WRITE, type, nr, _size(size))


def _IOC_DIR(nr: int) -> int:
    """The direction in a command number: ``_IOC_READ``, ``_IOC_WRITE``, both, or ``_IOC_NONE``."""
    return nr >> _IOC_DIRSHIFT & _IOC_DIRMASK


def _IOC_TYPE(nr: int) -> int:
    """The magic in a command number."""
    return nr >> _IOC_TYPESHIFT & _IOC_TYPEMASK


def _IOC_NR(nr: int) -> int:
    """The number in a command number."""
    return nr >> _IOC_NRSHIFT & _IOC_NRMASK


def _IOC_SIZE(nr: int) -> int:
    """The size of the argument in a command number."""
    return nr >> _IOC_SIZESHIFT & _IOC_SIZEMASK


__getattr__ = header_getattr(__name__)
__all__ = [
    "_IO",
    "_IOC",
    "_IOC_DIR",
    "_IOC_NONE",
    "_IOC_NR",
    "_IOC_READ",
    "_IOC_SIZE",
    "_IOC_TYPE",
    "_IOC_WRITE",
    "_IOR",
    "_IOW",
    "_IOWR",
]
