"""The driver's own WARN, BUG and panic (``lib/bug.c``): the headline names the driver's file, line and function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from kmock.lang.format import vsprintf
from kmock.stack import Frame, user_frames

if TYPE_CHECKING:
    from kmock.machine import Kernel

_UNKNOWN = Frame("?", 0, "?")


def caller(k: Kernel) -> Frame:
    """Return the driver's innermost frame."""
    return next(iter(user_frames(k.capture())), _UNKNOWN)


def warn(k: Kernel, message: str = "") -> None:
    """``__WARN()`` at the driver's line."""
    frame = caller(k)
    k.warn("driver-warning", frame.short, frame.function, message)


def first_time(k: Kernel) -> bool:
    """Whether the driver's line asks for the first time since boot."""
    frame = caller(k)
    site = (frame.file, frame.line)
    if site in k.once:
        return False
    k.once.add(site)
    return True


def bug(k: Kernel) -> NoReturn:
    """``BUG()`` at the driver's line."""
    k.bug("driver-bug", caller(k).short)


def message_of(k: Kernel, fmt: str | None, args: tuple[Any, ...]) -> str:
    """Return the text of a WARN; empty where it has none."""
    return vsprintf(k, fmt, args).rstrip("\n") if fmt is not None else ""
