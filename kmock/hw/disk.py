"""A disk: bytes that stay when memory forgets them."""

from __future__ import annotations

from typing import Final

SECTOR_SIZE: Final = 512


class Disk:
    """Bytes by sector, sparse: what was never written reads as zeroes. It answers at once, and never fails."""

    __slots__ = ("reads", "sectors", "writes")

    def __init__(self) -> None:
        self.sectors: dict[int, bytes] = {}
        self.reads = 0
        """Requests to read that it has answered."""
        self.writes = 0
        """The same to write."""

    def read(self, offset: int, n: int) -> bytes:
        """Return ``n`` bytes from byte ``offset`` on."""
        self.reads += 1
        return self._bytes(offset, n)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Store ``data`` from byte ``offset`` on."""
        self.writes += 1
        self._store(offset, bytes(data))

    def discard(self, offset: int) -> None:
        """Forget everything from byte ``offset`` on, which reads as zeroes then."""
        first, kept = divmod(offset, SECTOR_SIZE)
        if first in self.sectors:
            self.sectors[first] = self.sectors[first][:kept].ljust(SECTOR_SIZE, b"\0")
        for sector in [sector for sector in self.sectors if sector >= first + (kept > 0)]:
            del self.sectors[sector]

    def _bytes(self, offset: int, n: int) -> bytes:
        first, skip = divmod(offset, SECTOR_SIZE)
        last = (offset + n - 1) // SECTOR_SIZE
        blank = bytes(SECTOR_SIZE)
        return b"".join(self.sectors.get(sector, blank) for sector in range(first, last + 1))[skip : skip + n]

    def _store(self, offset: int, data: bytes) -> None:
        first, before = divmod(offset, SECTOR_SIZE)
        after = -(before + len(data)) % SECTOR_SIZE
        data = self._bytes(first * SECTOR_SIZE, before) + data + self._bytes(offset + len(data), after)
        for i in range(0, len(data), SECTOR_SIZE):
            self.sectors[first + i // SECTOR_SIZE] = data[i : i + SECTOR_SIZE]
