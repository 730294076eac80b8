"""``<linux/bug.h>``: WARN, BUG and panic of the driver's own.

A warning is a report of kind ``driver-warning`` whose headline names the driver's line; BUG raises
:class:`kmock.KernelOops`, panic :class:`kmock.KernelPanic`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from kmock.kernel import bug
from kmock.lang.format import vsprintf
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.build_bug import BUILD_BUG, BUILD_BUG_ON, BUILD_BUG_ON_MSG

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.6.19")
def WARN_ON(k: Kernel, condition: Any) -> bool:
    """Warn if ``condition`` holds; return whether it does."""
    if condition:
        bug.warn(k)
    return bool(condition)


@api(since="2.6.26")
def WARN(k: Kernel, condition: Any, fmt: str | None = None, *args: Any) -> bool:
    """Warn with a text if ``condition`` holds; return whether it does."""
    if condition:
        bug.warn(k, bug.message_of(k, fmt, args))
    return bool(condition)


@api(since="2.6.19")
def WARN_ON_ONCE(k: Kernel, condition: Any) -> bool:
    """Warn the first time ``condition`` holds at this line; return whether it does."""
    if condition and bug.first_time(k):
        bug.warn(k)
    return bool(condition)


@api(since="2.6.28")
def WARN_ONCE(k: Kernel, condition: Any, fmt: str | None = None, *args: Any) -> bool:
    """Warn with a text the first time ``condition`` holds at this line; return whether it does."""
    if condition and bug.first_time(k):
        bug.warn(k, bug.message_of(k, fmt, args))
    return bool(condition)


@api(since="1.0")
def BUG(k: Kernel) -> NoReturn:
    """End the running task."""
    bug.bug(k)


@api(since="2.4.0")
def BUG_ON(k: Kernel, condition: Any) -> None:
    """End the running task if ``condition`` holds."""
    if condition:
        bug.bug(k)


@api(since="1.0")
def panic(k: Kernel, fmt: str, *args: Any) -> NoReturn:
    """Stop the machine."""
    k.panic(vsprintf(k, fmt, args))


__getattr__ = header_getattr(__name__, {"CHECK_DATA_CORRUPTION", "WARN_TAINT", "WARN_TAINT_ONCE"})
__all__ = [
    "BUG",
    "BUG_ON",
    "BUILD_BUG",
    "BUILD_BUG_ON",
    "BUILD_BUG_ON_MSG",
    "WARN",
    "WARN_ON",
    "WARN_ONCE",
    "WARN_ON_ONCE",
    "panic",
]
