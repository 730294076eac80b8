"""Objects used in a state that does not allow it (``lib/debugobjects.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.report import Report
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack


def complain(
    k: Kernel, kind: str, what: str, type: str, function: Any, about: object, stacks: dict[str, Stack] | None = None,
    **more: Any,
) -> Report | None:  # fmt: skip
    """Report in the words of ``debug_print_object()``: ``what`` is operation and state, ``function`` the callback."""
    hint = f"{name(function)}+0x0/0x0" if function is not None else "0x0"
    return k.warn(
        kind,
        "lib/debugobjects.c:515",
        "debug_print_object",
        f"ODEBUG: {what} (active state 0) object type: {type} hint: {hint}",
        stacks={"access": k.capture(), **(stacks or {})},
        key=(about, what),
        **more,
    )


def freed_active(
    k: Kernel, allocation: Allocation | None, kind: str, type: str, function: Any, about: object, armed_at: Stack
) -> None:
    """Report that memory is freed in which ``about`` is armed or queued."""
    cache = getattr(allocation, "cache", None)
    if kind == "free-active-object" and cache is not None and not cache.is_kmalloc:
        kind = "cache-free-dirty-timer"
    shown = k.kasan.info(allocation, allocation.addr) if allocation is not None else None
    complain(k, kind, "free active", type, function, about, {"armed": armed_at} if armed_at else None, object=shown)


def name(function: Any) -> str:
    """Return the symbol of a callback."""
    return str(getattr(function, "__name__", "function"))
