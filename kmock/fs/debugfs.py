"""Files that show one value (``fs/debugfs/file.c``): each is bound to an attribute of an object.

``changed`` is called after each write that took.
A value that can't be read as what the file holds is refused with EINVAL, as ``kstrtoull()`` and ``kstrtobool()`` do.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.fs.files import KernelFiles

_U32 = 0xFFFF_FFFF
_U64 = 0xFFFF_FFFF_FFFF_FFFF
_INT_MIN = -(1 << 31)
_INT_MAX = (1 << 31) - 1

# kstrtobool() looks at the first letter, and at the second of on and off (lib/kstrtox.c).
_TRUE = ("y", "t", "1", "on")
_FALSE = ("n", "f", "0", "of")


def kstrtoll(text: str, low: int, high: int) -> int:
    """Read a number as ``kstrtoll(text, 0, ...)``; OSError EINVAL for no number, ERANGE out of ``low..high``."""
    word = text.strip().lower()
    try:
        value = int(word, 8) if word.lstrip("+-").isdigit() and word.lstrip("+-").startswith("0") else int(word, 0)
    except ValueError:
        raise OSError(errno.EINVAL, f"{text!r} is not a number") from None
    if value < 0 <= low:
        raise OSError(errno.EINVAL, f"{text!r} is negative")
    if not low <= value <= high:
        raise OSError(errno.ERANGE, f"{text!r} does not fit")
    return value


def kstrtobool(text: str) -> bool:
    """Read ``Y``, ``1``, ``on``... as ``kstrtobool()``; OSError EINVAL for anything else."""
    word = text.strip().lower()
    if word.startswith(_TRUE):
        return True
    if word.startswith(_FALSE):
        return False
    raise OSError(errno.EINVAL, f"{text!r} is neither Y nor N")


def debugfs_create_bool(
    files: KernelFiles, path: str, owner: object, name: str, changed: Callable[[], None] | None = None
) -> None:
    """Add a file that reads ``Y`` or ``N``."""

    def write(text: str) -> None:
        setattr(owner, name, kstrtobool(text))
        if changed:
            changed()

    files.add(path, lambda: "Y\n" if getattr(owner, name) else "N\n", write)


def debugfs_create_ul(
    files: KernelFiles, path: str, owner: object, name: str, changed: Callable[[], None] | None = None
) -> None:
    """Add a file that holds an ``unsigned long``."""
    _number(files, path, owner, name, (0, _U64), changed)


def debugfs_create_u32(
    files: KernelFiles, path: str, owner: object, name: str, changed: Callable[[], None] | None = None
) -> None:
    """Add a file that holds a ``u32``."""
    _number(files, path, owner, name, (0, _U32), changed)


def debugfs_create_atomic_t(
    files: KernelFiles, path: str, owner: object, name: str, changed: Callable[[], None] | None = None
) -> None:
    """Add a file that holds an ``atomic_t``, which may be negative."""
    _number(files, path, owner, name, (_INT_MIN, _INT_MAX), changed)


def _number(
    files: KernelFiles,
    path: str,
    owner: object,
    name: str,
    bounds: tuple[int, int],
    changed: Callable[[], None] | None,
) -> None:
    def write(text: str) -> None:
        setattr(owner, name, kstrtoll(text, *bounds))
        if changed:
            changed()

    files.add(path, lambda: f"{getattr(owner, name)}\n", write)
