"""Whether a device may see what it is told to look at (``Documentation/memory-barriers.txt``, "Consistent memory").

``writel()`` waits until all stores before it are visible; ``writel_relaxed()`` does not. A doorbell that is rung with it,
and no ``wmb()`` or ``dma_wmb()`` behind the last store to coherent memory, may reach the device before the descriptor
does. That is told when the device, because of that doorbell, reads such a word. The first relaxed store of a
machine has memory looked at from then on: drivers without one pay nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.sanitizers.dma_entry import COHERENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel
    from kmock.sanitizers.dma_entry import Mapping
    from kmock.stack import Stack

_WORD: Final = 8


class Doorbell:
    """A relaxed store to a device: where it was made, and the words of coherent memory it may have overtaken."""

    __slots__ = ("stack", "words")

    def __init__(self, stack: Stack, words: dict[int, bytes]) -> None:
        self.stack = stack
        self.words = words


class Barriers:
    """What was stored to coherent memory since the last barrier, on one machine."""

    __slots__ = ("_because", "_visible", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._visible: dict[Mapping, bytes] | None = None
        """Coherent memory as it was at the last barrier; None before the first relaxed store."""
        self._because: Doorbell | None = None
        """The doorbell that what a device does now follows from."""

    # -- the driver -------------------------------------------------------------------------------

    def fence(self) -> None:
        """All stores so far are visible before what follows."""
        if self._visible is not None:
            self._visible = self._memory()

    def relaxed(self, store: Callable[[], object]) -> None:
        """Make a store to a device that does not wait for those before it."""
        self._during(Doorbell(self.kernel.capture(), self._overtaken()), store)

    def _memory(self) -> dict[Mapping, bytes]:
        ram = self.kernel.ram.bytes
        live = (m for m in self.kernel.dma.debug if m.type == COHERENT)
        return {m: ram[m.phys : m.phys + m.size].tobytes() for m in live}

    def _overtaken(self) -> dict[int, bytes]:
        """The words, by physical address, whose present value no barrier has made visible."""
        now = self._memory()
        if self._visible is None:
            self._visible = now
        found: dict[int, bytes] = {}
        for m, data in now.items():
            seen = self._visible.get(m, data)
            if seen != data:
                found |= {
                    m.phys + at: data[at : at + _WORD]
                    for at in range(0, m.size, _WORD)
                    if seen[at : at + _WORD] != data[at : at + _WORD]
                }
        return found

    # -- the device -------------------------------------------------------------------------------

    def carry(self, action: Callable[[], object]) -> Callable[[], object]:
        """Return ``action``, which a device will do later, as one that follows from what it was just told."""
        because = self._because
        return action if because is None else lambda: self._during(because, action)

    def _during(self, because: Doorbell, action: Callable[[], object]) -> None:
        before, self._because = self._because, because
        try:
            action()
        finally:
            self._because = before

    def fetched(self, m: Mapping, phys: int, n: int) -> None:
        """The device reads ``[phys, phys + n)`` of ``m``."""
        because = self._because
        if because is None or m.type != COHERENT or not because.words:
            return
        ram = self.kernel.ram.bytes
        for at in range(phys & -_WORD, phys + n, _WORD):
            value = because.words.get(at)
            if value is not None and ram[at : at + len(value)] == value:
                self._report(m, at - m.phys, because)
                return

    def deposited(self, m: Mapping, phys: int, data: bytes) -> None:
        """The device wrote ``data``: what it wrote itself, it sees."""
        if self._visible is not None and (seen := self._visible.get(m)) is not None:
            at = phys - m.phys
            self._visible[m] = seen[:at] + data + seen[at + len(data) :]

    def _report(self, m: Mapping, offset: int, because: Doorbell) -> None:
        k = self.kernel
        k.report(
            "mmio-missing-barrier",
            f"BUG: kmock: mmio-missing-barrier in {k.symbol(because.stack)}",
            lines=[
                f"the device reads offset {offset} of the {m.what}, which was stored before this relaxed store, and no barrier between"
            ],
            stacks={"access": because.stack, "allocated": m.stack},
            key=(m, "barrier"),
        )
