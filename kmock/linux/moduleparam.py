"""``<linux/moduleparam.h>``: what ``insmod`` may set.

A parameter is a global of the driver's module, so it is named by a string:
``module_param("scull_quantum", int, S_IRUGO)``.
"""

from __future__ import annotations

import sys
from typing import Any

from kmock.kernel.module_params import Parameter, type_name
from kmock.linux._header import header_getattr
from kmock.linux.stat import S_IRUGO, S_IRUSR, S_IWUGO, S_IWUSR

byte, short, ushort, uint, hexint = "byte", "short", "ushort", "uint", "hexint"
long, ulong, ullong, charp, invbool = "long", "ulong", "ullong", "charp", "invbool"


def module_param(name: str, type: object, perm: int) -> None:
    """Let ``insmod`` set the global ``name``; ``type`` is ``int``, ``bool``, ``charp``, ``uint``..."""
    _declare(name, name, type, perm)


def module_param_named(name: str, value: str, type: object, perm: int) -> None:
    """Let ``insmod`` set the global ``value`` under another ``name``."""
    _declare(name, value, type, perm)


def module_param_array(name: str, type: object, nump: Any, perm: int, most: int = 16) -> None:
    """Let ``insmod`` set the global list ``name``, of at most ``most`` elements; C's ``nump`` is its length."""
    _declare(name, name, type, perm, most)


def MODULE_PARM_DESC(parm: str, desc: str) -> None:
    """Describe a parameter."""
    sys._getframe(1).f_globals.setdefault("__modinfo__", {})[f"parm:{parm}"] = desc


def _declare(name: str, variable: str, type: object, perm: int, most: int | None = None) -> None:
    for text in (name, variable):
        if not isinstance(text, str):
            raise TypeError(f"module_param() takes the variable's name, a string, and not its value {text!r}")
    names = sys._getframe(2).f_globals
    if variable not in names:
        raise NameError(f"module_param({name!r}): the module has no global {variable!r} above that line")
    names.setdefault("__param__", {})[name] = Parameter(name, variable, type_name(type), perm, most)


__getattr__ = header_getattr(__name__)
__all__ = [
    "MODULE_PARM_DESC",
    "S_IRUGO",
    "S_IRUSR",
    "S_IWUGO",
    "S_IWUSR",
    "byte",
    "charp",
    "hexint",
    "invbool",
    "long",
    "module_param",
    "module_param_array",
    "module_param_named",
    "short",
    "uint",
    "ullong",
    "ulong",
    "ushort",
]
