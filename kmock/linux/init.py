"""``<linux/init.h>``: code and data that a module needs only while it starts or stops; the marks change nothing."""

from __future__ import annotations

from typing import TypeVar

from kmock.linux._header import header_getattr
from kmock.linux.module import module_exit, module_init

_T = TypeVar("_T")


def __init(function: _T) -> _T:
    """Mark a function that runs only while the module is loaded."""
    return function


def __exit(function: _T) -> _T:
    """Mark a function that runs only while the module is unloaded."""
    return function


__getattr__ = header_getattr(__name__)
__all__ = ["__exit", "__init", "module_exit", "module_init"]
