"""An IOMMU: each device has a page table of its own, and what is not in there it can't touch.

An access that finds no page, or one without the permission, is a fault: nothing is transferred.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

PAGE_SIZE: Final = 4096
PAGE_SHIFT: Final = 12

IOMMU_READ: Final = 1
IOMMU_WRITE: Final = 2


class Fault(NamedTuple):
    """An access that the IOMMU refused."""

    address: int
    """The device's address of the first byte that could not be reached."""
    write: bool

    @property
    def reason(self) -> tuple[int, str]:
        """The code and the words of VT-d for it."""
        if self.write:
            return 5, "PTE Write access is not set"
        return 6, "PTE Read access is not set"


class FaultError(Exception):
    """The IOMMU stopped an access."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(eq=False, slots=True)
class Domain:
    """The address space of one device."""

    entries: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By page number of the device's address: physical page frame, permissions."""
    _free: dict[int, list[int]] = field(default_factory=dict)
    _lowest: int = 1 << 52
    _reserved: dict[int, list[int]] = field(default_factory=dict)
    """By page, the range it was reserved in: first page, size, and pages that are in use still."""

    def reserve(self, pages: int, limit: int) -> int:
        """Return the first page number of a free range of ``pages``, all at or below page ``limit``; -1 without one.

        Ranges come from the top downwards, aligned to their size; one that was given back is used again.
        """
        size = 1 << (pages - 1).bit_length()
        start = self._pick(size, limit)
        if start > 0:
            reservation = [start, size, pages]
            self._reserved.update(dict.fromkeys(range(start, start + pages), reservation))
        return start

    def _pick(self, size: int, limit: int) -> int:
        free = self._free.get(size, [])
        for i, start in enumerate(free):
            if start + size - 1 <= limit:
                return free.pop(i)
        start = (min(self._lowest, limit + 1) - size) & -size
        if start <= 0:
            return -1
        self._lowest = start
        return start

    def release(self, start: int, pages: int) -> None:
        """Give back pages of a range; it is free when the last of them is."""
        for page in range(start, start + pages):
            reservation = self._reserved.pop(page)
            reservation[2] -= 1
            if not reservation[2]:
                self._free.setdefault(reservation[1], []).append(reservation[0])

    def map(self, page: int, frame: int, permissions: int) -> None:
        """Let the device's page stand for a page frame."""
        self.entries[page] = frame, permissions

    def unmap(self, page: int) -> None:
        """Take it away; from now on the device faults there."""
        self.entries.pop(page, None)

    def translate(self, address: int, n: int, *, write: bool) -> list[tuple[int, int]]:
        """Return the physical pieces of an access; FaultError where a page or the permission is missing."""
        wanted = IOMMU_WRITE if write else IOMMU_READ
        out = []
        done = 0
        while done < n:
            at = address + done
            frame, permissions = self.entries.get(at >> PAGE_SHIFT, (0, 0))
            if not permissions & wanted:
                raise FaultError(Fault(at, write))
            m = min(PAGE_SIZE - at % PAGE_SIZE, n - done)
            out.append((frame << PAGE_SHIFT | at % PAGE_SIZE, m))
            done += m
        return out


class Iommu:
    """All domains."""

    def __init__(self) -> None:
        self._domains: dict[object, Domain] = {}

    def domain(self, device: object) -> Domain:
        """The device's address space, empty at first."""
        found = self._domains.get(device)
        if found is None:
            found = self._domains[device] = Domain()
        return found
