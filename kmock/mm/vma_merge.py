"""How areas are cut and joined: ``__split_vma()``, ``vma_merge()``, ``vma_adjust()`` (``mm/mmap.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.mm.vm_flags import VM_SOFTDIRTY, VM_SPECIAL

if TYPE_CHECKING:
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.rmap import AnonVma
    from kmock.mm.vma import vm_area_struct


def link(mm: mm_struct, vma: vm_area_struct) -> None:
    """Put an area into its address space, and among those that show its file."""
    mm.vmas[vma.vm_start] = vma
    link_file(vma)


def link_file(vma: vm_area_struct) -> None:
    """Put an area among those that show its file."""
    if vma.vm_file is not None:
        vma.vm_file.f_mapping.i_mmap[vma] = None


def unlink(mm: mm_struct, vma: vm_area_struct) -> None:
    """Take an area out of its address space, and from its file's."""
    del mm.vmas[vma.vm_start]
    unlink_file(vma)


def unlink_file(vma: vm_area_struct) -> None:
    """Take an area from among those that show its file."""
    if vma.vm_file is not None:
        vma.vm_file.f_mapping.i_mmap.pop(vma, None)


def adjust(vma: vm_area_struct, start: int, end: int) -> None:
    """``vma_adjust()``: give an area other bounds; its pages keep their place in the object."""
    mm = vma.vm_mm
    if start != vma.vm_start:
        del mm.vmas[vma.vm_start]
        vma.vm_pgoff += (start - vma.vm_start) >> 12
        vma.vm_start = start
        mm.vmas[start] = vma
    vma.vm_end = end


def split_vma(mm: mm_struct, vma: vm_area_struct, address: int, *, new_below: bool) -> int:
    """``__split_vma()``: cut an area in two; the new one, below or above, is told of it by ``open``. 0 or -errno."""
    ops = vma.vm_ops
    if ops is not None and ops.may_split is not None and (err := ops.may_split(vma, address)):
        return int(err)
    new = vma.dup(mm)
    if new_below:
        new.vm_end = address
    else:
        new.vm_pgoff += (address - vma.vm_start) >> 12
        new.vm_start = address
    if new.vm_file is not None:
        new.vm_file.f_count += 1
    mm.kernel.mappings.opened(new, vma)
    if new_below:
        adjust(vma, address, vma.vm_end)
    else:
        adjust(vma, vma.vm_start, address)
    link(mm, new)
    return 0


def mergeable_anon(first: AnonVma | None, second: AnonVma | None, vma: vm_area_struct | None) -> bool:
    """``is_mergeable_anon_vma()``."""
    if first is None or second is None:
        return vma is None or vma.anon_vma is None or not vma.anon_vma.forked
    return first is second


def _mergeable(vma: vm_area_struct, flags: int, anon_vma: AnonVma | None, file: Any) -> bool:
    # is_mergeable_vma(): what has a close() is never joined, since the driver counts its areas.
    return (
        not (vma.vm_flags ^ flags) & ~VM_SOFTDIRTY
        and vma.vm_file is file
        and (vma.vm_ops is None or vma.vm_ops.close is None)
        and mergeable_anon(anon_vma, vma.anon_vma, vma)
    )


def vma_merge(
    mm: mm_struct, start: int, end: int, flags: int, anon_vma: AnonVma | None, file: Any, pgoff: int
) -> vm_area_struct | None:
    """``vma_merge()``: let a neighbour take ``[start, end)`` over, if that is to have those properties.

    The range is free, or a whole area, or one end of an area. Returns the area that covers it then, else None.
    """
    if flags & VM_SPECIAL:
        return None
    inside = mm.vma_lookup(start)
    prev = mm.below(start)
    next = mm.find_vma(end)
    if prev is not None and not (prev.vm_end == start and _mergeable(prev, flags, anon_vma, file)):
        prev = None
    if prev is not None and prev.vm_pgoff + prev.pages != pgoff:
        prev = None
    if next is not None and not (next.vm_start == end and _mergeable(next, flags, anon_vma, file)):
        next = None
    if next is not None and next.vm_pgoff != pgoff + ((end - start) >> 12):
        next = None
    if prev is not None and next is not None and not mergeable_anon(prev.anon_vma, next.anon_vma, None):
        next = None
    if prev is None and next is None:
        return None
    _make_room(mm, inside, start, end)
    if prev is None:
        assert next is not None
        next.anon_vma = next.anon_vma or anon_vma
        adjust(next, start, next.vm_end)
        return next
    prev.anon_vma = prev.anon_vma or anon_vma
    if next is not None:
        prev.anon_vma = prev.anon_vma or next.anon_vma
        _drop(mm, next)
        end = next.vm_end
    adjust(prev, prev.vm_start, end)
    return prev


def _make_room(mm: mm_struct, inside: vm_area_struct | None, start: int, end: int) -> None:
    """Take ``[start, end)`` from the area that it is, or that it is an end of."""
    if inside is None:
        return
    if inside.vm_start == start and inside.vm_end == end:
        _drop(mm, inside)
    elif inside.vm_start == start:
        adjust(inside, end, inside.vm_end)
    else:
        adjust(inside, inside.vm_start, start)


def _drop(mm: mm_struct, vma: vm_area_struct) -> None:
    """An area goes because a neighbour has taken its place: its driver has no close(), so it isn't told."""
    unlink(mm, vma)
    if vma.vm_file is not None:
        mm.kernel.chrdevs.fput(vma.vm_file)
