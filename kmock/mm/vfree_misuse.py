"""What can be wrong with giving an area back: wrong place, wrong call, wrong context (``__vunmap()``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.kernel.contracts import release
from kmock.mm.vm_area import VM_ALLOC, VM_IOREMAP, VM_MAP, VM_MAP_PUT_PAGES
from kmock.sanitizers.describe import origin_stacks
from kmock.sanitizers.object import Allocation, FailedAllocation

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.vm_area import VmArea

PAGE_SIZE: Final = 4096
_IN_INTERRUPT: Final = 0xFFFF00
_IN_NMI: Final = 0xF00000
_PLACES: Final = {"vfree_atomic": "mm/vmalloc.c:2818"}
_SINCE_INTERRUPTS: Final = (3, 10)


def check_context(k: Kernel, by: str) -> None:
    """BUG in an NMI; a report in any interrupt on a kernel whose vfree() did not put the work off yet."""
    count = k.cpu.preempt_count
    if count & _IN_NMI:
        k.bug("vfree-atomic", _PLACES.get(by, "mm/vmalloc.c:2854"))
    version = k.config.version
    if count & _IN_INTERRUPT and version is not None and release(version) < _SINCE_INTERRUPTS:
        k.report(
            "vfree-atomic",
            f"BUG: kmock: vfree-atomic in {by}()",
            lines=[f"{by}() may be called in an interrupt since 3.10; this kernel is {version}"],
            key=("atomic", k.cpu.id, k.cpu.section),
        )


def area_to_free(k: Kernel, ptr: Ptr, by: str) -> VmArea | None:
    """Return the living area at ``ptr``; None, and a warning, where there is none to free."""
    address = int(ptr)
    area = k.vmalloc.probe(address)
    if address % PAGE_SIZE:
        _nothing_to_free(k, "vfree-unaligned", "mm/vmalloc.c:2752", "Trying to vfree() bad address", ptr, area, by)
    elif area is None or not area.live or not area.flags:
        kind = "vfree-of-vmap" if area is not None and area.live else "vfree-double"
        _nothing_to_free(k, kind, "mm/vmalloc.c:2758", "Trying to vfree() nonexistent vm area", ptr, area, by)
    else:
        return area
    return None


def check_free(k: Kernel, ptr: Ptr, area: VmArea, by: str) -> None:
    """Report what is wrong with freeing ``area`` by ``by`` that the kernel does not notice."""
    about: Allocation = area
    origin: Allocation | None = getattr(ptr, "origin", None)
    if int(ptr) != area.addr:
        kind, hint = "vfree-interior", ""
    elif origin is not None and origin is not area and not origin.live:
        kind, hint, about = "vfree-double", "", origin
    else:
        kind = _wrong_call(area, by)
        hint = f"this area is given back with {area.undo}(), not {by}()"
    if kind:
        name = f"BUG: kmock: {kind} in {by}()"
        k.kasan.report_free(kind, "", by, int(ptr), about, headline=name, hint=hint)


def _wrong_call(area: VmArea, by: str) -> str:
    if area.flags & VM_IOREMAP:
        return "vfree-of-ioremap"
    if by == "vunmap":
        return "vunmap-of-vmalloc" if area.flags & VM_ALLOC else ""
    if area.flags & VM_MAP and not area.flags & VM_MAP_PUT_PAGES:
        return "vfree-of-vmap"
    return "kvfree-mismatch" if area.call == "kvmalloc" and by != "kvfree" else ""


def _nothing_to_free(k: Kernel, kind: str, at: str, text: str, ptr: Ptr, area: Allocation | None, by: str) -> None:
    address = int(ptr)
    origin: Allocation | None = getattr(ptr, "origin", None)
    about = origin if origin is not None and not isinstance(origin, FailedAllocation) else area
    if about is None and not k.layout.is_vmalloc(address):
        about = k.mem.owner(address)
    hint = ""
    if about is not None and about.area == "mmio":
        kind = "vfree-of-ioremap" if about.live else kind
    elif about is not None and about.area != "vmalloc":
        kind = "kvfree-mismatch" if k.slab.claims.get(about.seq) == "kvfree" else "vfree-of-kmalloc"
    if about is not None and (about.area != "vmalloc" or kind == "vfree-of-vmap"):
        hint = f"this memory is given back with {about.undo}(), not {by}()"
    if about is not None:
        k.census.told(about)
    k.warn(
        kind,
        at,
        "__vunmap",
        f"{text} ({address:016x})",
        stacks={"access": k.capture(), **(origin_stacks(about) if about is not None else {})},
        object=k.kasan.info(about, address) if about is not None else None,
        key=(about if about is not None else address, "free"),
        hint=hint,
    )
