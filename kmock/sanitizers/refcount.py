"""Misuse of ``refcount_t`` (``lib/refcount.c``): the counter says it once, and then leaks rather than be freed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmock.machine import Kernel

# What went wrong: kind, line of lib/refcount.c, function, message.
_WARN = "refcount_warn_saturate"
_PROBLEMS = {
    "add-not-zero-ovf": ("refcount-saturated", 19, _WARN, "saturated; leaking memory"),
    "add-ovf": ("refcount-saturated", 22, _WARN, "saturated; leaking memory"),
    "add-uaf": ("refcount-inc-from-zero", 25, _WARN, "addition on 0; use-after-free"),
    "sub-uaf": ("refcount-underflow", 28, _WARN, "underflow; use-after-free"),
    "dec-leak": ("refcount-underflow", 31, _WARN, "decrement hit 0; leaking memory"),
    "dec-not-one": ("refcount-underflow", 87, "refcount_dec_not_one", "underflow; use-after-free"),
}


def warn(k: Kernel, counter: object, problem: str) -> None:
    """Report ``problem`` of ``counter``; the same one on the same counter once."""
    if not k.config.refcount:
        return
    kind, line, function, message = _PROBLEMS[problem]
    k.warn(kind, f"lib/refcount.c:{line}", function, f"refcount_t: {message}.", key=(counter,))
