"""An access that the processor refuses: oops texts of ``arch/x86/mm/fault.c`` and ``arch/x86/kernel/traps.c``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NoReturn

from kmock.sanitizers.describe import describe, object_info, origin_stacks
from kmock.sanitizers.object import FailedAllocation

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

X86_PF_PROT = 1
X86_PF_WRITE = 2
X86_PF_INSTR = 0x10


class _Fault(NamedTuple):
    """What a faulting address means."""

    kind: str
    name: str
    """What KASAN says before the fault; empty where it says nothing."""
    code: int = 0


def page_fault(k: Kernel, address: int, n: int, *, write: bool, origin: Allocation | None, by: str = "") -> NoReturn:
    """Nothing is mapped at ``address`` that kernel code may touch in this way: report and end the task."""
    stack = k.capture()
    fault = _classify(k, address, origin)
    if kind := getattr(origin, "fault_kind", ""):
        fault = fault._replace(kind=kind)
    elif fault.kind == "null-deref" and "irqs" in vars(k) and k.irqs.requested_too_early():
        fault = fault._replace(kind="irq-before-ready")
    headline, *lines = _oops(k, address, fault.code | X86_PF_WRITE * write)
    about = origin if origin is not None and origin.addr else None
    if fault.name and k.kasan.on:
        where = f"{by}+0x0/0x0" if by else k.symbol(stack)
        access = f"{'Write' if write else 'Read'} of size {n} at addr {address:016x} by task {k.current!r}"
        shown = describe(k, address, about) if fault.name == "vmalloc-out-of-bounds" else []
        lines = [access, *shown, headline, *lines]
        headline = f"BUG: KASAN: {fault.name} in {where}"
    stacks: dict[str, Stack] = {"access": stack}
    if origin is not None:
        stacks |= origin_stacks(origin)
    k.die(
        fault.kind,
        headline,
        stacks=stacks,
        lines=lines,
        object=object_info(k, about, address) if about is not None else None,
        attributes={"address": address, "size": n, "access": "write" if write else "read"},
    )


def instruction_fetch(k: Kernel, address: int, origin: Allocation | None) -> NoReturn:
    """Data was called as if it were a function: report and end the task."""
    fault = _classify(k, address, origin)
    lines: list[str] = []
    code = X86_PF_INSTR
    if fault.kind == "user-pointer-deref":
        code |= X86_PF_PROT
        lines = ["unable to execute userspace code (SMEP?) (uid: 0)"]
    elif k.mem.translate(address) is not None:
        code |= X86_PF_PROT
        lines = ["kernel tried to execute NX-protected page - exploit attempt? (uid: 0)"]
    headline, *lines = [*lines, *_oops(k, address, code)]
    stacks: dict[str, Stack] = {"access": k.capture()}
    if origin is not None:
        stacks |= origin_stacks(origin)
    k.die(
        fault.kind, headline, stacks=stacks, lines=lines, attributes={"address": address, "access": "instruction fetch"}
    )


def _classify(k: Kernel, address: int, origin: Allocation | None) -> _Fault:
    layout = k.layout
    if address < 4096:
        return _Fault(_null_kind(origin), "null-ptr-deref")
    if address < layout.task_size and isinstance(origin, FailedAllocation):
        # So far into the NULL that it is another page.
        return _Fault(_null_kind(origin), "user-memory-access")
    if address >= (1 << layout.bits) - 4095:
        return _Fault("err-ptr-deref", "")
    if address < layout.task_size:
        mm = k.current.mm
        mapped = mm is not None and mm.maps(address)
        return (
            _Fault("user-pointer-deref", "user-memory-access", X86_PF_PROT)
            if mapped
            else _Fault("wild-pointer-deref", "user-memory-access")
        )
    if not layout.is_canonical(address):
        return _Fault("wild-pointer-deref", "wild-memory-access")
    if k.mem.translate(address) is not None:
        # Mapped, but not for this: read-only, or a free page under debug_pagealloc.
        if k.page_alloc.is_free(address):
            return _Fault("page-use-after-free", "use-after-free")
        if layout.is_vmalloc(address) and k.vmalloc.probe(address) is not None:
            return _Fault("vmalloc-exec-or-ro", "", X86_PF_PROT)
        return _Fault("wild-pointer-deref", "", X86_PF_PROT)
    there = origin if origin is not None else k.mem.owner(address) if layout.is_vmalloc(address) else None
    if there is not None and there.area == "mmio":
        return _Fault("mmio-out-of-range" if there.live else "mmio-after-unmap", "")
    beside = origin if origin is not None and origin.area == "vmalloc" else None
    if beside is not None or layout.is_vmalloc(address):
        about = beside or k.mem.owner(address)
        kind = "wild-pointer-deref" if about is None else vmalloc_kind(about)
        return _Fault(kind, "vmalloc-out-of-bounds")
    return _Fault("wild-pointer-deref", "")


def vmalloc_kind(about: Allocation) -> str:
    """Kind of report for touching unmapped memory beside, or of, a vmalloc area."""
    if about.area != "vmalloc":
        return f"{about.area}-out-of-bounds"
    return "vmalloc-out-of-bounds" if about.live else "vmalloc-use-after-free"


def _null_kind(origin: Allocation | None) -> str:
    if origin is None:
        return "null-deref"
    return "slab-null-unchecked" if isinstance(origin, FailedAllocation) else "slab-zero-size-deref"


def _oops(k: Kernel, address: int, code: int) -> list[str]:
    number = f"[#{k.oopses + 1}] {k.build}"
    if not k.layout.is_canonical(address):
        return [f"general protection fault, probably for non-canonical address {address:#x}: 0000 {number}"]
    first = f"BUG: unable to handle page fault for address: {address:016x}"
    if address < 4096:
        first = f"BUG: kernel NULL pointer dereference, address: {address:016x}"
    access = "write access" if code & X86_PF_WRITE else "read access"
    return [
        first,
        f"#PF: supervisor {'instruction fetch' if code & X86_PF_INSTR else access} in kernel mode",
        f"#PF: error_code({code:#06x}) - {'permissions violation' if code & X86_PF_PROT else 'not-present page'}",
        f"Oops: {code:04x} {number}",
    ]
