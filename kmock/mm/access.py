"""Loads and stores: the way from a pointer to bytes, through the MMU and past the checks.

The common case is a pointer whose allocation lives and an access inside it; that is one comparison
and one slice. Whatever else comes along is sorted out by :meth:`Memory.access`, which asks the page
what its bytes belong to and lets :class:`~kmock.sanitizers.kasan.Kasan` say what is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from kmock.hw.mmu import PTE_PRESENT, PTE_RW
from kmock.lang.embedded import Embedded
from kmock.lang.ptr import Ptr, make_ptr
from kmock.sanitizers.object import UNWRITTEN, Allocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kmock.machine import Kernel
    from kmock.mm.iomap import IoMap

_int = int.__int__
_PAGE = 4096


class Region(Protocol):
    """A range of virtual addresses outside the direct map that knows what lies in it: stacks, the kernel's image."""

    start: int
    end: int

    @property
    def variables(self) -> Sequence[Allocation]:
        """What lives there."""

    def probe(self, address: int) -> Allocation | None:
        """Return the allocation at ``address``, if any."""


class Memory:
    """All of a kernel's virtual memory, as its code sees it."""

    __slots__ = (
        "_watched",
        "bytes",
        "check_loads",
        "embedded",
        "io",
        "kernel",
        "lint",
        "origins",
        "page_offset",
        "quick",
        "regions",
        "size",
        "told",
    )

    watched: ClassVar[bool] = False
    """Whether every access is to come by :meth:`access`."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.bytes = kernel.ram.bytes
        self.page_offset = kernel.layout.page_offset
        self.size = min(kernel.ram.size, kernel.layout.direct_map_size)
        self.check_loads = kernel.config.uninit_loads and kernel.config.initmem
        self.quick = not self.check_loads
        """Whether a byte inside a living allocation may be loaded without another look."""
        self.origins: dict[int, dict[int, Ptr]] = {}
        """Pointers stored in memory, by page frame and physical address, so that provenance survives."""
        self._watched: dict[int, tuple[Allocation, Callable[[Allocation], None]]] = {}
        """Whom to tell when an allocation is being freed, by physical address."""
        self.told: Callable[[Ptr, int, int], int] | None = None
        """Who says what a number is that was loaded at an offset of a pointer, once devices write numbers."""
        self.embedded = Embedded(self)
        self.regions: list[Region] = []
        self.lint = kernel.config.lint
        self.io: IoMap | None = None
        """Device memory, once any is mapped."""

    # -- bytes ------------------------------------------------------------------------------------

    def load(self, p: int, offset: int, n: int) -> bytes:
        """Return the ``n`` bytes at ``p + offset``."""
        origin: Allocation | None = p.origin if p.__class__ is Ptr else None
        if origin is not None and origin.live:
            start = _int(p) - origin.addr + offset
            if start >= 0 and start + n <= origin.size and origin.phys >= 0 and not self.check_loads:
                at = origin.phys + start
                return self.bytes[at : at + n].tobytes()
        if self.io is not None and (device := self.io.at(_int(p) + offset)) is not None:
            return self.io.plain_load(device, _int(p) + offset, n)
        return b"".join(self.bytes[at : at + m] for at, m in self.access(p, offset, n, write=False))

    def store(self, p: int, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write ``data`` at ``p + offset``."""
        n = len(data)
        origin: Allocation | None = p.origin if p.__class__ is Ptr else None
        if origin is not None and origin.live:
            start = _int(p) - origin.addr + offset
            if start >= 0 and start + n <= origin.size and origin.phys >= 0:
                at = origin.phys + start
                self.bytes[at : at + n] = data
                if origin.written is not None:
                    origin.mark_written(start, n)
                return
        if self.io is not None and (device := self.io.at(_int(p) + offset)) is not None:
            self.io.plain_store(device, _int(p) + offset, data)
            return
        self.store_pieces(p, offset, data)

    def store_pieces(self, p: int, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Check a store, and do it piece by piece."""
        done = 0
        for at, m in self.access(p, offset, len(data), write=True):
            self.bytes[at : at + m] = data[done : done + m]
            done += m
        self.mark_written(p, offset, len(data))

    def fill(self, p: int, offset: int, value: int, n: int) -> None:
        """``memset()``."""
        self.store(p, offset, bytes([value & 0xFF]) * n)

    def copy(self, to: int, source: int, n: int) -> None:
        """``memmove()``: copy ``n`` bytes and what is known of each (written or not, provenance)."""
        a: Allocation | None = to.origin if to.__class__ is Ptr else None
        b: Allocation | None = source.origin if source.__class__ is Ptr else None
        if a is not None and b is not None and a.live and b.live:
            d = _int(to) - a.addr
            s = _int(source) - b.addr
            if (
                d >= 0
                and s >= 0
                and d + n <= a.size
                and s + n <= b.size
                and a.phys >= 0
                and b.phys >= 0
                and not self.check_loads
            ):
                d_at = a.phys + d
                s_at = b.phys + s
                memory = self.bytes
                memory[d_at : d_at + n] = memory[s_at : s_at + n]
                if a.written is not None or b.written is not None:
                    copy_written(a, d, b, s, n)
                if self.origins:
                    self._copy_origins(d_at, s_at, n)
                return
        self.copy_slowly(to, source, n)

    def copy_slowly(self, to: int, source: int, n: int) -> None:
        """Copy by a load and a store, with what is known of the bytes."""
        data = self.load(source, 0, n)
        self.store(to, 0, data)
        to_owner, from_owner = self.owner(to), self.owner(source)
        if to_owner is not None and from_owner is not None:
            copy_written(to_owner, _int(to) - to_owner.addr, from_owner, _int(source) - from_owner.addr, n)
        if self.origins and n and (d_phys := self.translate(to)) is not None:
            s_phys = self.translate(source)
            if s_phys is not None:
                self._copy_origins(d_phys, s_phys, n)

    def _copy_origins(self, to: int, source: int, n: int) -> None:
        found = [
            (at, p)
            for frame in range(source >> 12, (source + n - 1 >> 12) + 1)
            if (saved := self.origins.get(frame))
            for at, p in saved.items()
            if source <= at <= source + n - 8
        ]
        for at, p in found:
            where = to + at - source
            self.origins.setdefault(where >> 12, {})[where] = p

    # -- pointers in memory -----------------------------------------------------------------------

    def load_ptr(self, p: int, offset: int) -> Ptr:
        """Return the pointer stored at ``p + offset``, with the provenance it was stored with."""
        width = self.kernel.layout.bits // 8
        value = int.from_bytes(self.load(p, offset, width), "little")
        phys = self.translate(_int(p) + offset) if self.origins else None
        if phys is not None and (saved := self.origins.get(phys >> 12)):
            stored = saved.get(phys)
            if stored is not None and _int(stored) == value:
                return stored
        return Ptr(value)

    def store_ptr(self, p: int, offset: int, value: int) -> None:
        """Store a pointer at ``p + offset``."""
        width = self.kernel.layout.bits // 8
        self.store(p, offset, (_int(value) & ((1 << 8 * width) - 1)).to_bytes(width, "little"))
        self.keep_origin(p, offset, value)

    def keep_origin(self, p: int, offset: int, value: int) -> None:
        """Remember the provenance of a pointer that was just stored at ``p + offset``."""
        phys = self.translate(_int(p) + offset)
        if phys is None:
            return
        saved = self.origins.get(phys >> 12)
        if getattr(value, "origin", None) is not None:
            assert isinstance(value, Ptr)
            if saved is None:
                saved = self.origins[phys >> 12] = {}
            saved[phys] = value
        elif saved:
            saved.pop(phys, None)

    def forget_origins(self, phys: int, n: int) -> None:
        """Drop what is known of pointers and objects stored in ``[phys, phys + n)``, which is being freed."""
        if self._watched and (watchers := self._watched.pop(phys, None)):
            about, freed = watchers
            freed(about)
        if self.embedded.frames:
            self.embedded.forget(phys, n)
        for frame in range(phys >> 12, (phys + n - 1 >> 12) + 1):
            if saved := self.origins.get(frame):
                for at in [at for at in saved if phys <= at < phys + n]:
                    del saved[at]
                if not saved:
                    del self.origins[frame]

    def watch(self, about: Allocation, freed: Callable[[Allocation], None]) -> None:
        """Have ``freed(about)`` called when that memory is being freed."""
        # Allocators ask `origins` whether a page has anything to forget; this makes it say yes.
        self.origins.setdefault(about.phys >> 12, {})
        self._watched[about.phys] = about, freed

    def revive(self, about: Allocation) -> None:
        """Memory that kept its contents while it was free has a new owner: its pointers into itself lead to that."""
        self.embedded.revive(about)
        for frame in range(about.phys >> 12, (about.phys + about.size - 1 >> 12) + 1):
            saved = self.origins.get(frame, {})
            for at in [at for at in saved if about.phys <= at < about.phys + about.size]:
                origin = saved[at].origin
                if origin is not None and origin.addr == about.addr:
                    saved[at] = make_ptr(_int(saved[at]), about)

    # -- addresses --------------------------------------------------------------------------------

    def translate(self, address: int) -> int | None:
        """Return the physical address that kernel address ``address`` stands for, None if unmapped."""
        phys = _int(address) - self.page_offset
        if 0 <= phys < self.size:
            return phys
        return self.kernel.mmu.translate(_int(address))

    def permits(self, address: int, *, write: bool) -> bool:
        """Whether the processor lets the kernel load from, or store to, ``address``."""
        phys = address - self.page_offset
        if 0 <= phys < self.size:
            k = self.kernel
            return k.ram.exists(phys) and not (k.page_alloc.debug_pagealloc and k.page_alloc.is_free(address))
        entry = self.kernel.mmu.entries.get(address >> 12, 0)
        return bool(entry & PTE_PRESENT) and (not write or bool(entry & PTE_RW))

    def poke(self, address: int, data: bytes) -> None:
        """Write ``data`` where it is mapped, past all checks: what a reported access does all the same."""
        done = 0
        while done < len(data) and (phys := self.translate(_int(address) + done)) is not None:
            m = min(_PAGE - (phys & _PAGE - 1), len(data) - done)
            self.bytes[phys : phys + m] = data[done : done + m]
            done += m

    def owner(self, address: int) -> Allocation | None:
        """Return the allocation that the byte at ``address`` belongs to, living or freed, if any."""
        for region in self.regions:
            if region.start <= address < region.end:
                return region.probe(_int(address))
        layout = self.kernel.layout
        if layout.is_vmalloc(_int(address)):
            return self.kernel.vmalloc.probe(_int(address))
        phys = self.translate(address)
        if phys is None:
            return None
        page = self.kernel.memmap.pages.get(phys >> 12)
        if page is None or page.owner is None:
            return None
        found: Allocation | None = page.owner.probe(self.page_offset + phys)
        return found

    def mark_written(self, p: int, offset: int, n: int) -> None:
        """Note a store that did not take the short way."""
        at = _int(p) + offset
        owner = self.owner(at)
        if owner is not None and owner.live and at >= owner.addr:
            owner.mark_written(at - owner.addr, n)

    def access(self, p: int, offset: int, n: int, *, write: bool, by: str = "") -> Iterator[tuple[int, int]]:
        """Check an access; yield the physical pieces ``(address, length)`` it touches.

        ``by`` names the kernel function that does it on the driver's behalf, for the headline.
        """
        if n <= 0:
            return
        address = (_int(p) + offset) & (1 << 64) - 1
        if self.io is not None and (device := self.io.at(address)) is not None:
            self.io.plain(device, address, n, write=write)
            return
        self.kernel.kasan.check(address, n, write=write, origin=getattr(p, "origin", None), by=by)
        done = 0
        while done < n:
            phys = self.translate(address + done)
            if phys is None:
                self.kernel.kasan.page_fault(address + done, write=write, origin=getattr(p, "origin", None), by=by)
            m = min(_PAGE - (phys & _PAGE - 1), n - done)
            yield phys, m
            done += m

    def unwritten(self, p: int, n: int) -> tuple[Allocation, list[tuple[int, int]]] | None:
        """Return the allocation and ranges in ``[p, p + n)`` that were never stored to; None if all were."""
        origin: Allocation | None = getattr(p, "origin", None)
        if origin is None or not origin.live:
            origin = self.owner(p)
        if origin is None or origin.written is None:
            return None
        start = _int(p) - origin.addr
        holes = origin.unwritten(max(start, 0), min(n, origin.size - start))
        return (origin, holes) if holes else None


def copy_written(to: Allocation, d: int, source: Allocation, s: int, n: int) -> None:
    """Carry over which of the copied bytes were ever stored to."""
    written = source.written
    if written is None:
        to.mark_written(d, n)
        return
    if to.written is None:
        to.written = bytearray(b"\x01") * to.size
    elif not to.written:
        to.written = bytearray(to.size)
    assert isinstance(to.written, bytearray)
    to.written[d : d + n] = written[s : s + n] if written else bytes(n)
    if to.written.find(0) < 0:
        to.written = None


__all__ = ["UNWRITTEN", "Memory", "copy_written", "make_ptr"]
