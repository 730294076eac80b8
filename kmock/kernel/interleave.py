"""What execution tells whoever watches how tasks and interrupts interleave (``kernel.explorer``; usually nobody does)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Watcher(Protocol):
    """The explorer, as the floors below it see it."""

    def enter_interrupt(self, offset: int) -> None:
        """An interrupt begins that adds ``offset`` to preempt_count."""

    def leave_interrupt(self) -> None:
        """It ends."""

    def loaded(self, *, acquire: bool = False, whole: bool = False) -> None:
        """The last load (of a ``whole`` statement: all its loads) was marked as one that others may race with."""

    def storing(self, *, release: bool = False) -> AbstractContextManager[None]:
        """What is stored in the block is marked so; with ``release`` it publishes all that was done before."""

    def aside(self) -> AbstractContextManager[None]:
        """What is done in the block is kmock's doing, and not the driver's."""

    def fence(self, *, read: bool, write: bool) -> None:
        """A memory barrier."""
