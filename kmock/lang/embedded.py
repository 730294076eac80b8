"""Kernel objects that lie in simulated memory: a ``spinlock_t`` member of a Struct, a ``list_head`` in a page.

Such an object is a Python object, bound to the address of its member. It is made when it is first
touched and goes when the memory is freed; then its ``memory_freed(kernel, allocation)``, where its class
has that method, says whether that was all right. In objects that a constructor made it outlives the free, and its
``memory_reused(allocation)`` hears of the new owner.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.mm.access import Memory
    from kmock.sanitizers.object import Allocation


class Embedded:
    """All embedded objects of one kernel, by the physical address of their place."""

    __slots__ = ("_addresses", "frames", "mem")

    def __init__(self, mem: Memory) -> None:
        self.mem = mem
        self.frames: dict[int, dict[int, Any]] = {}
        self._addresses: dict[int, int] = {}
        """Virtual address by ``id()`` of the object, which lives as long as its entry."""

    def at(self, place: Ptr, cls: Any) -> Any:
        """Return the object of class ``cls`` at ``place``, made on the first call."""
        bind = getattr(cls, "at", None)
        phys = self.mem.translate(place)
        if phys is None and bind is not None:
            # &p->member of a wild p is no access yet.
            return bind(place)
        phys = self._phys(place)
        if bind is None and place.origin is not None and not place.origin.live:
            # Whoever asks for the object will use it; that is its memory's use after free.
            self.mem.kernel.kasan.check_place(int(place), 1, write=False, origin=place.origin)
        frame = self.frames.get(phys >> 12)
        found = frame.get(phys) if frame else None
        if found is None or not isinstance(found, cls):
            found = bind(place) if bind is not None else getattr(cls, "uninitialised", cls)()
            self.put(place, found)
        return found

    def put(self, place: Ptr, value: Any) -> None:
        """Let ``value`` lie at ``place``: C's assignment of an initialiser."""
        phys = self._phys(place)
        # Allocators ask `origins` whether a page has anything to forget; this makes it say yes.
        self.mem.origins.setdefault(phys >> 12, {})
        frame = self.frames.setdefault(phys >> 12, {})
        old = frame.get(phys)
        if old is not None:
            self._addresses.pop(id(old), None)
        frame[phys] = value
        self._addresses[id(value)] = int(place)

    def address(self, value: Any) -> int | None:
        """Return the address that ``value`` lies at, None if at none."""
        return self._addresses.get(id(value))

    def known_elsewhere(self) -> list[int]:
        """Return the addresses of objects that something besides this table refers to: queued works, held locks."""
        return [
            self._addresses[id(objects[phys])]
            for objects in self.frames.values()
            for phys in objects
            # Besides: the table and getrefcount()'s argument.
            if sys.getrefcount(objects[phys]) > 2
        ]

    def within(self, phys: int, n: int) -> list[Any]:
        """The objects in ``[phys, phys + n)``."""
        frames = (self.frames.get(number, {}) for number in range(phys >> 12, (phys + n - 1 >> 12) + 1))
        return [value for frame in frames for at, value in frame.items() if phys <= at < phys + n]

    def forget(self, phys: int, n: int) -> None:
        """The memory ``[phys, phys + n)`` is being freed: let its objects speak, and drop them."""
        for number in range(phys >> 12, (phys + n - 1 >> 12) + 1):
            frame = self.frames.get(number)
            if not frame:
                continue
            for at in [at for at in frame if phys <= at < phys + n]:
                value = frame.pop(at)
                address = self._addresses.pop(id(value), 0)
                if freed := getattr(value, "memory_freed", None):
                    freed(self.mem.kernel, self.mem.owner(address))
            if not frame:
                del self.frames[number]

    def retire(self, phys: int, n: int) -> None:
        """The memory ``[phys, phys + n)`` is being freed and keeps its contents: let its objects speak, and stay."""
        for value in self.within(phys, n):
            if freed := getattr(value, "memory_freed", None):
                freed(self.mem.kernel, self.mem.owner(self._addresses[id(value)]))

    def revive(self, about: Allocation) -> None:
        """Retired memory goes to a new owner, ``about``: so do the objects in it."""
        for value in self.within(about.phys, about.size):
            if reused := getattr(value, "memory_reused", None):
                reused(about)

    def _phys(self, place: Ptr) -> int:
        phys = self.mem.translate(place)
        if phys is None:
            self.mem.kernel.kasan.page_fault(int(place), write=False, origin=place.origin)
        return phys
