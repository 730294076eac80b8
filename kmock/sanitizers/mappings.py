"""What drivers do wrong with the areas of processes: their handlers, their counts, what they show.

Called from ``mm/mmap.py`` and ``mm/memory.py`` at the points where the kernel calls into drivers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.vm_fault import vm_fault
    from kmock.mm.vma import vm_area_struct


class Mappings:
    """Looks at the areas of one machine's processes."""

    __slots__ = ("kernel",)

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    # -- counts -----------------------------------------------------------------------------------

    def opened(self, vma: vm_area_struct) -> None:
        """An area was made from another one: tell the driver, if it wants to know."""
        if vma.vm_ops is not None and vma.vm_ops.open is not None:
            vma.vm_ops.open(vma)

    def check_mm(self, mm: mm_struct, names: tuple[str, ...]) -> None:
        """``check_mm()``: an address space ends; nothing of it may still be counted."""
        k = self.kernel
        left = [
            f"BUG: Bad rss-counter state mm:{k.layout.page_offset:016x} type:{name} val:{value}"
            for name, value in zip(names, mm.rss, strict=True)
            if value
        ]
        if left:
            k.report("rss-imbalance", left[0], lines=left[1:], key=(mm, "rss"))
        if mm.tables:
            k.log.write(f"BUG: non-zero pgtables_bytes on freeing mm: {4096 * len(mm.tables)}")

    # -- handlers ---------------------------------------------------------------------------------

    def call(self, vmf: vm_fault, handler: Callable[[vm_fault], int | None]) -> int:
        """Call one of the driver's fault handlers; return its ``vm_fault_t``."""
        return int(handler(vmf) or 0)

    def call_fault(self, vmf: vm_fault) -> int:
        """Call the driver's ``fault``; return its ``vm_fault_t``."""
        ops = vmf.vma.vm_ops
        assert ops is not None
        return self.call(vmf, ops.fault)

    def no_page(self, vmf: vm_fault) -> NoReturn:
        """The handler said that it had a page, and there is none: the kernel looks at NULL."""
        k = self.kernel
        k.die(
            "fault-handler-bad-return",
            f"BUG: kernel NULL pointer dereference, address: {0:016x}",
            lines=[".fault returned success and left vmf->page NULL"],
            stacks={"access": k.capture()},
        )

    def not_locked(self, vmf: vm_fault, at: str) -> None:
        """The handler said that it had locked the page, and it is not locked."""
        k = self.kernel
        assert vmf.page is not None
        if k.config.debug_vm:
            k.page_alloc.bad.bug("fault-handler-unlocked", at, vmf.page, "!PageLocked(vmf->page)")
