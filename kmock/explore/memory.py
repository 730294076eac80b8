"""Memory whose accesses are steps. A value of several words is accessed word by word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.lang.ptr import Ptr
from kmock.mm.access import Memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.explore.explorer import Way
    from kmock.explore.machine import ExploredKernel
    from kmock.sanitizers.object import Allocation

_PIECES = 4  # where a long copy could be interrupted is much the same everywhere


class ExploringMemory(Memory):
    """All of a kernel's memory, in a test that explores interleavings."""

    __slots__ = ()
    kernel: ExploredKernel

    def __init__(self, kernel: ExploredKernel) -> None:
        super().__init__(kernel)
        self.quick = False

    def load(self, p: int, offset: int, n: int) -> bytes:
        """Return the ``n`` bytes at ``p + offset``."""
        way = self.kernel.explorer.accessing()
        if way is None:
            return super().load(p, offset, n)
        parts = [super(ExploringMemory, self).load(p, offset + at, m) for at, m in self._steps(way, p, offset, n)]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def store(self, p: int, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write ``data`` at ``p + offset``."""
        way = self.kernel.explorer.accessing()
        if way is None:
            super().store(p, offset, data)
            return
        for at, m in self._steps(way, p, offset, len(data), write=True):
            super().store(p, offset + at, data[at : at + m])

    def copy(self, to: int, source: int, n: int) -> None:
        """``memmove()``: a step before, and where the two don't overlap, some in between."""
        way = self.kernel.explorer.accessing()
        if way is None or n <= 0:
            super().copy(to, source, n)
            return
        apart = abs(int(to) - int(source)) >= n
        flow = self.kernel.sched.running
        loads = self._steps(way, source, 0, n, split=apart)
        for (at, m), _ in zip(loads, self._steps(way, to, 0, n, write=True, split=apart), strict=True):
            flow.inside += 1
            try:
                super().copy(to + at, source + at, m)
            finally:
                flow.inside -= 1

    def _steps(
        self, way: Way, p: int, offset: int, n: int, *, write: bool = False, split: bool = True
    ) -> Iterator[tuple[int, int]]:
        """Watch an access; yield the pieces ``(offset, length)`` that it is made in, with a step between them."""
        explorer = self.kernel.explorer
        address = int(p) + offset
        owner = self._whose(p, address)
        if n <= 0 or (owner is not None and not owner.live):
            yield 0, n  # what is wrong with it is found when it is made
            return
        access = explorer.access(way, address, n, owner, write=write)
        word = self.kernel.layout.bits // 8
        if access is None or n <= word or not split or owner is None or not owner.addr <= address <= owner.end - n:
            yield 0, n
            return
        whole = explorer.races.begin(access)
        size = -(-n // _PIECES // word) * word or word
        for at in range(0, n, size):
            if at:
                self.kernel.sched.point()
            yield at, min(size, n - at)
        explorer.races.end(whole, owner)

    def _whose(self, p: int, address: int) -> Allocation | None:
        origin: Allocation | None = p.origin if p.__class__ is Ptr else None
        return origin if origin is not None else self.owner(address)
