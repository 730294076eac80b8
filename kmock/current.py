"""The one piece of module-level state: which kernel calls such as ``kmalloc()`` act on.

A driver says ``kmalloc(64, GFP_KERNEL)``, not ``kernel.kmalloc(...)``; this pointer is what stands
between the two. Everything else lives in objects owned by a :class:`kmock.machine.Kernel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.errors import NoKernelError

if TYPE_CHECKING:
    from kmock.machine import Kernel


class Current:
    """Holds the running kernel, or None."""

    __slots__ = ("kernel",)

    def __init__(self) -> None:
        self.kernel: Kernel | None = None

    def get(self) -> Kernel:
        """Return the running kernel, or raise NoKernelError with advice on how to boot one."""
        if self.kernel is None:
            raise NoKernelError
        return self.kernel


current = Current()
