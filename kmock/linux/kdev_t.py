"""``<linux/kdev_t.h>``: device numbers."""

from __future__ import annotations

from kmock.fs.char_dev import MAJOR, MINOR, MINORBITS, MINORMASK, MKDEV
from kmock.linux._header import header_getattr

__getattr__ = header_getattr(__name__)
__all__ = ["MAJOR", "MINOR", "MINORBITS", "MINORMASK", "MKDEV"]
