"""Which living allocations a pointer still leads to.

Roots are the pointers that Python's variables hold, and the kernel's own data and stacks. From there on
pointers in simulated memory lead further, found as kmemleak finds them: aligned words whose value lies
inside an allocation.
"""

from __future__ import annotations

import gc
import sys
from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING

from kmock.lang.ptr import Ptr
from kmock.sanitizers.object import SCAN_HELD, SCAN_IGNORE, SCAN_NO_SCAN, SCAN_NOT_LEAK, Allocation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kmock.machine import Kernel


def living(k: Kernel) -> list[Allocation]:
    """Return every living allocation, in the order they were made."""
    found: list[Allocation] = []
    seen: set[int] = set()
    for page in k.memmap.pages.values():
        owner = page.owner
        if owner is None or id(owner) in seen:
            continue
        seen.add(id(owner))
        if isinstance(owner, Allocation):
            if owner.live:
                found.append(owner)
        else:
            found += owner.live()
    if "vmalloc" in k.__dict__:
        found += k.vmalloc.living()
    if "percpu" in k.__dict__:
        found += k.percpu.living()
    found.sort(key=_made)
    return found


def _made(a: Allocation) -> int:
    return a.seq


def root_pointers(k: Kernel, everything: Iterable[Allocation]) -> list[int]:
    """Return the addresses in all pointers that Python's variables, global ones or kernel stacks hold.

    A pointer that is known to come from none of ``everything`` is left out: other kernels have the same addresses.
    """
    mine = {id(a) for a in everything}
    mine.add(id(None))
    if "stacks" in k.__dict__:
        # A function's frame that is done must not keep its variables.
        k.stacks.reap()
    stored: Counter[int] = Counter()
    for frame in k.mem.origins.values():
        stored.update(map(id, frame.values()))
    found = [
        int(p)
        for p in gc.get_objects()
        # Besides what memory holds: the list, the loop's variable and getrefcount()'s argument.
        if p.__class__ is Ptr and id(p.origin) in mine and sys.getrefcount(p) - 3 > stored[id(p)]
    ]
    for region in k.mem.regions:
        for variable in region.variables:
            found += words(k, variable.addr, variable.end)
    # An object that lies in simulated memory may be known elsewhere: a queued work, a list's first node.
    return found + k.mem.embedded.known_elsewhere()


def size_of(a: Allocation) -> int:
    """The size that kmemleak knows of an allocation: a cache's object size, or whole pages of vmalloc."""
    if a.area == "vmalloc":
        return a.size + 4095 & -4096
    return int(getattr(a, "object_size", a.size))


class Index:
    """Allocations by address."""

    __slots__ = ("_allocations", "_starts")

    def __init__(self, allocations: Iterable[Allocation]) -> None:
        self._allocations = sorted(allocations, key=lambda a: a.addr)
        self._starts = [a.addr for a in self._allocations]

    def find(self, address: int) -> Allocation | None:
        """Return the allocation that ``address`` lies in; the byte behind its end is outside."""
        at = bisect_right(self._starts, address) - 1
        if at < 0:
            return None
        found = self._allocations[at]
        return found if address < found.addr + size_of(found) else None


def words(k: Kernel, start: int, end: int) -> Iterator[int]:
    """The aligned words stored in ``[start, end)``, as far as it is mapped."""
    width = k.layout.bits // 8
    at = start + width - 1 & -width
    last = end & -width
    while at < last:
        phys = k.mem.translate(at)
        step = min(last - at, 4096 - (at & 4095))
        if phys is not None:
            yield from k.ram.bytes[phys : phys + step].cast("Q" if width == 8 else "I")
        at += step


def reachable(k: Kernel, everything: Iterable[Allocation]) -> set[int]:
    """Return ``seq`` of each of ``everything`` that a chain of pointers leads to from a Python variable."""
    index = Index(everything)
    roots = [there for address in root_pointers(k, everything) if (there := index.find(address)) is not None]
    grey = roots + [a for a in everything if a.scan & (SCAN_HELD | SCAN_NOT_LEAK)]
    found = {a.seq for a in grey}
    while grey:
        a = grey.pop()
        if a.scan & (SCAN_IGNORE | SCAN_NO_SCAN):
            continue
        for word in words(k, a.addr, a.addr + size_of(a)):
            if word and (there := index.find(word)) is not None and there.seq not in found:
                found.add(there.seq)
                grey.append(there)
    return found
