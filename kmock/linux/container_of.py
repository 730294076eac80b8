"""``<linux/container_of.h>``."""

from __future__ import annotations

from kmock.lang.struct import container_of
from kmock.linux._header import header_getattr

__getattr__ = header_getattr(__name__)
__all__ = ["container_of"]
