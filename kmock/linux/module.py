"""``<linux/module.h>``: what makes a driver a module.

``module_init(f)`` and ``module_exit(f)`` give the calling module the names that the loader looks for, as C's do with
an alias: ``init_module`` and ``cleanup_module``. Importing a driver runs neither; ``kernel.insmod()`` does.

``THIS_MODULE`` is the module that the importing code belongs to, and None, C's NULL, for code that is in none.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from kmock.current import current
from kmock.kernel.module import Module as module
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.export import EXPORT_SYMBOL, EXPORT_SYMBOL_GPL
from kmock.linux.moduleparam import (
    MODULE_PARM_DESC,
    S_IRUGO,
    S_IRUSR,
    S_IWUGO,
    S_IWUSR,
    byte,
    charp,
    hexint,
    invbool,
    long,
    module_param,
    module_param_array,
    module_param_named,
    short,
    uint,
    ullong,
    ulong,
    ushort,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel

_F = TypeVar("_F", bound="Callable[[], Any]")


def module_init(initfn: _F) -> _F:
    """Have ``initfn`` called when the module is loaded; it returns 0 or -errno."""
    sys._getframe(1).f_globals["init_module"] = initfn
    return initfn


def module_exit(exitfn: _F) -> _F:
    """Have ``exitfn`` called when the module is unloaded."""
    sys._getframe(1).f_globals["cleanup_module"] = exitfn
    return exitfn


def MODULE_LICENSE(text: str) -> None:
    """Name the licence; anything that is not free taints the kernel."""
    _info("license", text)


def MODULE_AUTHOR(text: str) -> None:
    """Name the author."""
    _info("author", text)


def MODULE_DESCRIPTION(text: str) -> None:
    """Say what the module is for."""
    _info("description", text)


def MODULE_VERSION(text: str) -> None:
    """Give the module's version."""
    _info("version", text)


def MODULE_ALIAS(text: str) -> None:
    """Give the module another name."""
    _info("alias", text)


def MODULE_INFO(tag: str, text: str) -> None:
    """Note anything else about the module."""
    _info(tag, text)


def _info(tag: str, text: str) -> None:
    sys._getframe(2).f_globals.setdefault("__modinfo__", {})[tag] = text


@api(since="2.5", undo="module_put", fails=True)
def try_module_get(k: Kernel, module: Any) -> bool:
    """Take a reference, so that the module stays; False while it is being unloaded."""
    got = k.modules.try_get(module)
    if got and module is not None:
        module.taken.append(k.capture())
    return got


@api(since="2.5", undo="module_put")
def __module_get(k: Kernel, module: Any) -> None:
    """Take a reference where the caller knows that there is one already."""
    if k.modules.try_get(module) and module is not None:
        module.taken.append(k.capture())


@api(since="2.5")
def module_put(k: Kernel, module: Any) -> None:
    """Give a reference back."""
    k.modules.put(module)
    if module is not None and module.taken:
        module.taken.pop()


@api(since="2.5")
def module_refcount(k: Kernel, module: Any) -> int:
    """The number of references to a module."""
    return int(module.refcnt)


_header_getattr = header_getattr(__name__)


def __getattr__(name: str) -> Any:
    if name != "THIS_MODULE":
        return _header_getattr(name)
    mine = sys._getframe(1).f_globals.get("__this_module__")
    if mine is None and current.kernel is not None:
        mine = current.kernel.modules.loading
    return mine


__all__ = [
    "EXPORT_SYMBOL",
    "EXPORT_SYMBOL_GPL",
    "MODULE_ALIAS",
    "MODULE_AUTHOR",
    "MODULE_DESCRIPTION",
    "MODULE_INFO",
    "MODULE_LICENSE",
    "MODULE_PARM_DESC",
    "MODULE_VERSION",
    "S_IRUGO",
    "S_IRUSR",
    "S_IWUGO",
    "S_IWUSR",
    "THIS_MODULE",  # noqa: F822 -- made by __getattr__
    "__module_get",
    "byte",
    "charp",
    "hexint",
    "invbool",
    "long",
    "module",
    "module_exit",
    "module_init",
    "module_param",
    "module_param_array",
    "module_param_named",
    "module_put",
    "module_refcount",
    "short",
    "try_module_get",
    "uint",
    "ullong",
    "ulong",
    "ushort",
]
