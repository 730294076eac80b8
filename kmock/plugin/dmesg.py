"""The fixture ``dmesg``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel


class Dmesg:
    """The kernel's log as it is at the moment it is looked at."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def __call__(self) -> str:
        """The log so far, with time stamps."""
        return self._kernel.dmesg()

    __str__ = __call__

    def __contains__(self, text: str) -> bool:
        return text in self()

    def __iter__(self) -> Iterator[str]:
        return iter(self().splitlines())

    def __repr__(self) -> str:
        return f"<dmesg of {len(list(self))} lines>"
