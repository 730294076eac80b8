"""``<linux/build_bug.h>``: conditions that the C compiler checks. Here they are checked when reached."""

from __future__ import annotations

from typing import Any

from kmock.linux._header import header_getattr


def BUILD_BUG_ON(condition: Any) -> None:
    """Fail the build if ``condition`` holds: AssertionError."""
    BUILD_BUG_ON_MSG(condition, "BUILD_BUG_ON failed")


def BUILD_BUG_ON_MSG(condition: Any, message: str) -> None:
    """Fail the build with ``message`` if ``condition`` holds: AssertionError."""
    if condition:
        raise AssertionError(message)


def BUILD_BUG() -> None:
    """Fail the build: this code must have been optimised away."""
    BUILD_BUG_ON_MSG(condition=True, message="BUILD_BUG failed")


def BUILD_BUG_ON_ZERO(condition: Any) -> int:
    """Fail the build if ``condition`` holds, else 0."""
    BUILD_BUG_ON(condition)
    return 0


def static_assert(expression: Any, message: str = "static assertion failed") -> None:
    """Fail the build unless ``expression`` holds."""
    BUILD_BUG_ON_MSG(not expression, message)


__getattr__ = header_getattr(__name__)
__all__ = ["BUILD_BUG", "BUILD_BUG_ON", "BUILD_BUG_ON_MSG", "BUILD_BUG_ON_ZERO", "static_assert"]
