"""Areas as drivers see them: ``get_vm_area()``, ``find_vm_area()``, ``remove_vm_area()``, ``vmlist``.

A ``vm_struct`` is a slab object that comes into being when a driver first asks for an area's. It is the kernel's
until ``remove_vm_area()`` hands it over, which is why it shows up as a leak only from then on.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_ATOMIC
from kmock.mm.vm_area import VM_ALLOC, VM_IOREMAP, VmArea, vm_struct
from kmock.sanitizers.object import SCAN_HELD
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel

_SIZE: Final = 72


class Pte:
    """``pte_t *``: the page table entry of one page of vmalloc space; ``val`` is its value."""

    __slots__ = ("_entries", "_vpn")

    def __init__(self, k: Kernel, address: int) -> None:
        self._entries = k.mmu.entries
        self._vpn = address >> 12

    @property
    def val(self) -> int:
        """What the entry holds; 0 for none."""
        return self._entries.get(self._vpn, 0)

    @val.setter
    def val(self, value: int) -> None:
        self._entries[self._vpn] = value


class VmStructs:
    """The ``vm_struct`` of each area that a driver looked at."""

    __slots__ = ("_early", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._early: list[vm_struct] | None = None
        """While the machine boots, the areas that were registered so far, by address."""

    # -- areas ------------------------------------------------------------------------------------

    def of(self, area: VmArea) -> vm_struct:
        """Return the ``vm_struct`` of a living area."""
        k = self.kernel
        if not area.struct:
            p = area.struct = k.slab.kmalloc(_SIZE, GFP_ATOMIC | GFP_ZERO)
            if p.origin is not None:
                p.origin.scan |= SCAN_HELD
            view = vm_struct.at(p)
            view.addr = make_ptr(area.addr, area)
            view.size = area.span
            view.flags = area.flags
            view.nr_pages = len(area.pages) if area.flags & VM_ALLOC or area in k.vmalloc.maps.given else 0
            view.phys_addr = area.phys_addr
            view.pages = area.array
        return vm_struct.at(area.struct)

    def get(self, size: int, flags: int, call: str, start: int = 0, end: int = 0) -> vm_struct | Ptr:
        """``__get_vm_area_caller()``: reserve addresses; NULL if that fails."""
        area = self.kernel.vmalloc.get_area(size, flags, call, start=start, end=end)
        return self.of(area) if area is not None else NULL

    def alloc(self, size: int, ptes: list[Pte] | None) -> vm_struct | Ptr:
        """``alloc_vm_area()``: reserve addresses; ``ptes`` is filled with the entry of each page."""
        k = self.kernel
        area = k.vmalloc.get_area(size, VM_IOREMAP, "alloc_vm_area")
        if area is None:
            return NULL
        if ptes is not None:
            ptes[:] = [Pte(k, address) for address in range(area.addr, area.addr + area.usable, 4096)]
        return self.of(area)

    def find(self, address: int) -> vm_struct | Ptr:
        """``find_vm_area()``: the area that ``address`` lies in, guard page included; NULL if there is none."""
        area = self._living(address)
        return self.of(area) if area is not None else NULL

    def _living(self, address: int) -> VmArea | None:
        area = self.kernel.vmalloc.probe(address)
        return area if area is not None and area.flags and not area.gone else None

    def remove(self, address: int) -> vm_struct | Ptr:
        """``remove_vm_area()``: unmap an area; its ``vm_struct`` is the caller's to kfree(). NULL for no area."""
        k = self.kernel
        area = self._living(address)
        if area is None:
            return NULL
        view = self.of(area)
        struct, area.struct = area.struct, NULL
        k.vmalloc.retire(area)
        k.vmalloc.unmap(area, pages=False)
        if struct.origin is not None:
            struct.origin.scan &= ~SCAN_HELD
            struct.origin.alloc_stack = capture(3)
        return view

    def free(self, view: vm_struct) -> None:
        """``free_vm_area()``; BUG if it is not there."""
        k = self.kernel
        area = self._living(int(view.addr))
        if area is None or area.struct != view:
            k.bug("vfree-double", "mm/vmalloc.c:3765")
        k.vmalloc.retire(area)
        k.vmalloc.unmap(area, pages=False)

    def all(self) -> list[vm_struct]:
        """``vmlist``: every area by address, each with the next one in ``next``."""
        found = [self.of(area) for area in self.kernel.vmalloc.living() if area.flags]
        for i, view in enumerate(found):
            view.next = found[i + 1]._ptr if i + 1 < len(found) else NULL
        return found

    # -- per-CPU chunks ---------------------------------------------------------------------------

    def congruent(self, offsets: list[int], sizes: list[int], align: int) -> list[vm_struct] | Ptr:
        """``pcpu_get_vm_areas()``: areas at the same offsets from one base, as high as can be; NULL without room."""
        k = self.kernel
        if align & 4095 or align & (align - 1):
            k.bug("percpu-bad-size", "mm/vmalloc.c:3875")
        if any(offset % align for offset in offsets):
            k.bug("percpu-bad-size", "mm/vmalloc.c:3881")
        if any(size % align for size in sizes):
            k.bug("percpu-bad-size", "mm/vmalloc.c:3882")
        spans = sorted(zip(offsets, sizes, strict=True))
        if any(a + n > b for (a, n), (b, _) in pairwise(spans)):
            k.bug("percpu-bad-size", "mm/vmalloc.c:3892")
        base = k.vmalloc.space.congruent(offsets, sizes, align)
        return [self._claim(base + at, size) for at, size in zip(offsets, sizes, strict=True)] if base else NULL

    def _claim(self, address: int, size: int) -> vm_struct:
        vmalloc = self.kernel.vmalloc
        vmalloc.space.claim(address, size)
        area = vmalloc.record(size, VM_ALLOC, "pcpu_get_vm_areas")
        area.addr = address
        area.scan = SCAN_HELD
        vmalloc.areas[address] = area
        return self.of(area)

    # -- while the machine boots ------------------------------------------------------------------

    @contextmanager
    def booting(self) -> Iterator[None]:
        """Run the block as the part of the boot in which areas may be registered early."""
        self._early = []
        try:
            yield
        finally:
            self.init()

    def init(self) -> None:
        """``vmalloc_init()``: make areas of what was registered early."""
        early, self._early = self._early or [], None
        vmalloc = self.kernel.vmalloc
        for view in early:
            address, size = int(view.addr), int(view.size)
            vmalloc.space.claim(address, size)
            area = vmalloc.record(size, int(view.flags), "vm_area_register_early")
            area.addr = address
            area.scan = SCAN_HELD
            vmalloc.areas[address] = area

    def add_early(self, view: vm_struct) -> None:
        """``vm_area_add_early()``; BUG after boot, or where another area lies there."""
        k = self.kernel
        if self._early is None:
            k.bug("driver-bug", "mm/vmalloc.c:2389")
        start, end = int(view.addr), int(view.addr) + int(view.size)
        for other in self._early:
            if int(other.addr) < end and start < int(other.addr) + int(other.size):
                k.bug("driver-bug", "mm/vmalloc.c:2392" if int(other.addr) >= start else "mm/vmalloc.c:2395")
        self._early.append(view)
        self._early.sort(key=lambda one: int(one.addr))

    def register_early(self, view: vm_struct, align: int) -> None:
        """``vm_area_register_early()``: give the area the first address that is free; BUG after boot."""
        k = self.kernel
        if self._early is None:
            k.bug("driver-bug", "mm/vmalloc.c:2418")
        address = k.layout.vmalloc_start + align - 1 & -align
        for other in self._early:
            if int(other.addr) - address >= int(view.size):
                break
            address = int(other.addr) + int(other.size) + align - 1 & -align
        if address > k.vmalloc.space.end - int(view.size):
            k.bug("driver-bug", "mm/vmalloc.c:2426")
        view.addr = Ptr(address)
        self.add_early(view)
