"""Where a machine's DMA mappings are looked up: the hash of ``kernel/dma/debug.c``, and what has ended lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.sanitizers.dma_entry import Mapping

HASH_SIZE: Final = 16384
HASH_FN_SHIFT: Final = 13
REMEMBERED: Final = 4096
"""Ended mappings that are kept for what comes too late."""
_PERFECT: Final = 4


class Ref(NamedTuple):
    """What a call says of the mapping that it is about."""

    dev: Any
    type: int
    dma: int
    size: int
    direction: int
    nents: int = 0
    phys: int = -1
    attrs: int = 0
    unknown: str = ""
    """Kind of report where there is no such mapping, if a special one fits."""


class Entries:
    """Mappings by the device's address."""

    def __init__(self) -> None:
        self._buckets: dict[int, list[Mapping]] = {}
        self._starts: dict[int, list[Mapping]] = {}
        """The same by the address that they begin at."""
        self._longest = 1
        self.past: dict[tuple[Any, int], Mapping] = {}
        """What has ended, by device and handle."""

    def __iter__(self) -> Iterator[Mapping]:
        return (m for bucket in self._buckets.values() for m in bucket)

    def insert(self, m: Mapping) -> None:
        """``hash_bucket_add()``."""
        self._buckets.setdefault(m.dma >> HASH_FN_SHIFT, []).append(m)
        self._starts.setdefault(m.dma, []).append(m)
        self._longest = max(self._longest, m.size)
        self.past.pop((m.dev, m.dma), None)

    def delete(self, m: Mapping) -> None:
        """``hash_bucket_del()``."""
        number = m.dma >> HASH_FN_SHIFT
        bucket = self._buckets[number]
        bucket.remove(m)
        if not bucket:
            del self._buckets[number]
        self._starts[m.dma].remove(m)
        if not self._starts[m.dma]:
            del self._starts[m.dma]
        m.live = False
        self.past[m.dev, m.dma] = m
        if len(self.past) > REMEMBERED:
            del self.past[next(iter(self.past))]

    def at(self, dma: int) -> list[Mapping]:
        """Return the mappings of all devices that begin at ``dma``."""
        return self._starts.get(dma, [])

    def exact(self, ref: Ref) -> Mapping | None:
        """``bucket_find_exact()``: the mapping of that device and handle that fits best; None for none, or several bad ones."""
        return _best([m for m in self.at(ref.dma) if m.dev is ref.dev], ref)

    def containing(self, ref: Ref) -> Mapping | None:
        """``bucket_find_contain()``: the mapping that all of the range lies in."""
        number = ref.dma >> HASH_FN_SHIFT
        for n in range(number, max(number - (self._longest >> HASH_FN_SHIFT) - 2, -1), -1):
            bucket = self._buckets.get(n, ())
            end = ref.dma + ref.size
            found = _best([m for m in bucket if m.dma <= ref.dma and end <= m.dma + m.size and m.dev is ref.dev], ref)
            if found is not None:
                return found
        return None

    def over(self, dev: Any, dma: int) -> list[Mapping]:
        """Return the living mappings of ``dev`` that the device's address ``dma`` lies in."""
        number = dma >> HASH_FN_SHIFT
        first = max(number - (self._longest >> HASH_FN_SHIFT) - 1, 0)
        return [
            m
            for n in range(number, first - 1, -1)
            for m in self._buckets.get(n, ())
            if m.dma <= dma < m.dma + m.size and m.dev is dev
        ]

    def ended(self, dev: Any, dma: int) -> Mapping | None:
        """Return the youngest mapping of ``dev`` over ``dma`` that has ended."""
        return next((m for m in reversed(self.past.values()) if m.dev is dev and m.dma <= dma < m.end), None)

    def of_device(self, dev: Any) -> list[Mapping]:
        """Return the living mappings of a device."""
        return [m for m in self if m.dev is dev]


def _best(found: list[Mapping], ref: Ref) -> Mapping | None:
    """``__hash_bucket_find()``: with several that match, one must fit in everything."""
    if len(found) == 1:
        return found[0]
    return next((m for m in found if _fit(m, ref) == _PERFECT), None)


def _fit(m: Mapping, ref: Ref) -> int:
    return (m.size == ref.size) + (m.type == ref.type) + (m.direction == ref.direction) + (m.nents == ref.nents)
