"""Reading and writing vmalloc space without knowing what is there: ``vread()``, ``vwrite()`` (``mm/vmalloc.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.mm.vm_area import VM_IOREMAP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel

PAGE_SIZE: Final = 4096


def _areas(k: Kernel, address: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """The parts of ``[address, end)`` that lie in areas, guard pages left out, and whether each is memory."""
    for area in k.vmalloc.living():
        start, stop = max(area.addr, address), min(area.addr + area.usable, end)
        if area.flags and start < stop:
            yield start, stop, not area.flags & VM_IOREMAP


def _mapped(k: Kernel, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """The mapped pieces of ``[start, stop)``: address, physical address, length."""
    while start < stop:
        n = min(PAGE_SIZE - start % PAGE_SIZE, stop - start)
        phys = k.mmu.translate(start)
        if phys is not None:
            yield start, phys, n
        start += n


def vread(k: Kernel, buf: Ptr, address: int, count: int) -> int:
    """Copy ``count`` bytes from ``address`` to ``buf``, zeros for holes; 0 where no area begins at or behind it."""
    end = min(address + count, 1 << k.layout.bits)
    data = bytearray(end - address)
    found = any(area.flags and area.top - area.guard > address for area in k.vmalloc.living())
    for start, stop, memory in _areas(k, address, end):
        for at, phys, n in _mapped(k, start, stop) if memory else ():
            data[at - address : at - address + n] = k.ram.bytes[phys : phys + n]
    if not found:
        return 0
    k.mem.store(buf, 0, data)
    return len(data)


def vwrite(k: Kernel, buf: Ptr, address: int, count: int) -> int:
    """Copy ``count`` bytes from ``buf`` to ``address``, skipping holes; 0 where there is nothing but holes."""
    end = min(address + count, 1 << k.layout.bits)
    data = k.mem.load(buf, 0, end - address)
    copied = False
    for start, stop, memory in _areas(k, address, end) if data else ():
        for at, phys, n in _mapped(k, start, stop) if memory else ():
            k.ram.bytes[phys : phys + n] = data[at - address : at - address + n]
            k.mem.mark_written(at, 0, n)
            copied = True
    return len(data) if copied else 0
