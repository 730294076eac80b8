"""``<linux/export.h>``: symbols that other modules may use."""

from __future__ import annotations

from typing import TypeVar

from kmock.linux._header import header_getattr

T = TypeVar("T")


def EXPORT_SYMBOL(symbol: T) -> T:
    """Export ``symbol``; Python modules can import one another's names anyway."""
    return symbol


def EXPORT_SYMBOL_GPL(symbol: T) -> T:
    """Export ``symbol`` to modules under the GPL."""
    return symbol


__getattr__ = header_getattr(__name__)
__all__ = ["EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL"]
