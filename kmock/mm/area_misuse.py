"""What drivers do wrong with the areas of processes: their fault handlers, their counts, what they show.

Called from ``mm/mmap.py`` and ``mm/memory.py`` at the points where the kernel calls into drivers. Where a handler has
returned already, the report's place is its last ``return``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from kmock.hw.mmu import PTE_PFN_MASK, PTE_PRESENT
from kmock.lang.ptr import make_ptr
from kmock.mm.area_counts import AreaCounts
from kmock.mm.debug import dump_page
from kmock.mm.page import PageBlock
from kmock.mm.vm_fault import (
    NOPAGE_OOM,
    VM_FAULT_ERROR,
    VM_FAULT_NOPAGE,
    VM_FAULT_OOM,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
)
from kmock.stack import end_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.page import Page
    from kmock.mm.vm_fault import vm_fault
    from kmock.mm.vma import vm_area_struct
    from kmock.stack import Stack

_FAILED: Final = VM_FAULT_ERROR | VM_FAULT_NOPAGE | VM_FAULT_RETRY


class Mappings:
    """Looks at the areas of one machine's processes."""

    __slots__ = ("_counted", "counts", "initmem", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.counts = AreaCounts(kernel)
        self.initmem = kernel.config.initmem
        self._counted: dict[mm_struct, Stack] = {}
        """Where drivers last counted pages of an address space."""

    # -- areas ------------------------------------------------------------------------------------

    def call_mmap(self, vma: vm_area_struct, file: Any) -> int:
        """Have the driver map its file; return what it returns, and look at what the process sees then."""
        handler = file.f_op.mmap
        before = self.counts.before(vma, handler)
        err = int(handler(file, vma) or 0)
        self.kernel.pfnmaps.handler_done(vma, handler, err)
        if not err:
            self.counts.mapped(vma, handler, before)
            self.shown(vma, vma.vm_start, vma.vm_end, handler)
        return err

    def opened(self, vma: vm_area_struct, old: vm_area_struct) -> None:
        """``vma`` was made from ``old``: tell the driver, if it wants to know."""
        ops = vma.vm_ops
        if ops is not None and (ops.open is not None or ops.close is not None):
            self.counts.called(vma, ops.open, old)

    def closed(self, vma: vm_area_struct) -> None:
        """``vma`` is gone: tell the driver, if it wants to know."""
        ops = vma.vm_ops
        if ops is not None and ops.close is not None:
            self.counts.called(vma, ops.close)

    def count(self, mm: mm_struct, member: int, value: int) -> None:
        """``add_mm_counter()`` by a driver."""
        mm.rss[member] += value
        self._counted[mm] = self.kernel.capture()

    def check_mm(self, mm: mm_struct, names: tuple[str, ...]) -> None:
        """``check_mm()``: an address space ends; nothing of it may still be counted."""
        k = self.kernel
        left = [
            f"BUG: Bad rss-counter state mm:{k.layout.page_offset:016x} type:{name} val:{value}"
            for name, value in zip(names, mm.rss, strict=True)
            if value
        ]
        stack = self._counted.pop(mm, None)
        if left:
            k.report("rss-imbalance", left[0], lines=left[1:], stacks={"access": stack or k.capture()}, key=(mm, "rss"))
        if mm.tables:
            k.log.write(f"BUG: non-zero pgtables_bytes on freeing mm: {4096 * len(mm.tables)}")

    # -- fault handlers ---------------------------------------------------------------------------

    def call(self, vmf: vm_fault, handler: Callable[..., int | None]) -> int:
        """Call a fault handler of the driver; return its ``vm_fault_t``. Before 4.11 it had the area as well."""
        return int((handler(vmf.vma, vmf) if _takes_area(handler) else handler(vmf)) or 0)

    def call_fault(self, vmf: vm_fault) -> int:
        """Call the driver's ``fault``; return its ``vm_fault_t``."""
        vma = vmf.vma
        ops = vma.vm_ops
        assert ops is not None
        k = self.kernel
        before = k.seq
        ret = self.call(vmf, ops.fault) if ops.fault is not None else _call_nopage(vmf, ops.nopage)
        entry = vma.vm_mm.pte(vmf.address)
        if entry & PTE_PRESENT:
            self.shown(vma, vmf.address, vmf.address + 4096, ops.handler)
        elif ret & VM_FAULT_NOPAGE and not ret & VM_FAULT_ERROR and not k.current.signal:
            self._nothing_installed(vmf)
        elif vmf.page is not None and not ret & _FAILED:
            self._returned(vmf, vmf.page, before)
        return ret

    def _returned(self, vmf: vm_fault, page: Page, before: int) -> None:
        """``fault`` had a page: look whether it comes with a reference, and with nobody's secrets."""
        head = page.head or page
        block = head.owner
        if head._refcount <= page.mapcount:
            self._misreturned(vmf, page, f"the page has {head._refcount} references and {page.mapcount} mappings")
        elif (
            block.__class__ is PageBlock
            and block.page is page
            and head._refcount == page.mapcount + 1
            and block.seq <= before
        ):
            # The driver's own reference may be what it handed over: what it does next tells.
            block.lent = end_of(vmf.vma.vm_ops.handler if vmf.vma.vm_ops is not None else None)
        self._exposed(page, vmf.address, vmf.vma.vm_ops.handler if vmf.vma.vm_ops is not None else None)

    def _nothing_installed(self, vmf: vm_fault) -> None:
        k = self.kernel
        stack = self._stack(vmf)
        k.report(
            "fault-handler-bad-return",
            f"BUG: kmock: fault-handler-bad-return in {k.symbol(stack)}",
            lines=[f"VM_FAULT_NOPAGE, and nothing is mapped at {vmf.address:#x}: the fault is tried again, for ever"],
            stacks={"access": stack},
            key=("fault", vmf.vma.vm_ops),
        )

    def _misreturned(self, vmf: vm_fault, page: Page, why: str) -> None:
        k = self.kernel
        stack = self._stack(vmf)
        k.report(
            "fault-handler-bad-return",
            f"BUG: kmock: fault-handler-bad-return in {k.symbol(stack)}",
            lines=[f"{why}: vmf->page needs a reference of its own", *dump_page(page, "kmock: no reference taken")],
            stacks={"access": stack, **k.page_alloc.bad.life_of(page)},
            key=(page, "lent"),
        )

    def no_page(self, vmf: vm_fault) -> NoReturn:
        """The handler said that it had a page, and there is none: the kernel looks at NULL."""
        k = self.kernel
        k.die(
            "fault-handler-bad-return",
            f"BUG: kernel NULL pointer dereference, address: {0:016x}",
            lines=["the handler returned success and left vmf->page NULL"],
            stacks={"access": self._stack(vmf)},
        )

    def not_locked(self, vmf: vm_fault, at: str, handler: object, condition: str) -> None:
        """The handler said that it had locked the page, and it is not locked."""
        k = self.kernel
        page = vmf.page
        assert page is not None
        stacks = {"access": (*end_of(handler), *k.capture()), **k.page_alloc.bad.life_of(page)}
        lines = dump_page(page, f"VM_BUG_ON_PAGE({condition})")
        if k.config.debug_vm:
            k.bug("fault-handler-unlocked", at, headlines=lines, stacks=stacks)
        headline = f"BUG: kmock: fault-handler-unlocked in {k.symbol(stacks['access'])}"
        k.report("fault-handler-unlocked", headline, lines=lines, stacks=stacks, key=(page, "unlocked"))

    def never(self, vmf_ops: object, handler: object, line: str) -> None:
        """A handler's answers bring a fault no further, however often it is asked."""
        k = self.kernel
        stack = (*end_of(handler), *k.capture())
        k.report(
            "fault-handler-bad-return",
            f"BUG: kmock: fault-handler-bad-return in {k.symbol(stack)}",
            lines=[line],
            stacks={"access": stack},
            key=("fault", vmf_ops),
        )

    def kept_lock(self, vma: vm_area_struct) -> None:
        """The handler wants to be asked again, and did not let go of ``mmap_lock`` as that says."""
        ops = vma.vm_ops
        self.never(ops, ops.handler if ops is not None else None, "VM_FAULT_RETRY, and mmap_lock is still held")

    def _stack(self, vmf: vm_fault) -> Stack:
        ops = vmf.vma.vm_ops
        return (*end_of(ops.handler if ops is not None else None), *self.kernel.capture())

    # -- what a process gets to see ---------------------------------------------------------------

    def shown(self, vma: vm_area_struct, start: int, end: int, handler: object) -> None:
        """Pages were mapped at ``[start, end)`` by ``handler``: report what was never written to of them."""
        if not self.initmem:
            return
        mm = vma.vm_mm
        for address in mm.mapped(start, end):
            pfn = (mm.pte(address) & PTE_PFN_MASK) >> 12
            page = self.kernel.memmap.pages.get(pfn)
            if page is not None:
                self._exposed(page, address, handler)

    def _exposed(self, page: Page, address: int, handler: object) -> None:
        block = page.owner
        if block.__class__ is not PageBlock or block.written is None or not block.live or not block.addr:
            return
        k = self.kernel
        at = make_ptr(k.layout.page_offset + page.phys, block)
        k.kmsan.check_leaves(at, 4096, address, sink="mmap", stack=(*end_of(handler), *k.capture()))


def _takes_area(handler: Any) -> bool:
    """Whether a handler is one of ``(vma, vmf)``."""
    function = getattr(handler, "__func__", handler)
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    given = code.co_argcount - (function is not handler) - len(function.__defaults__ or ())
    return bool(given == 2)


def _call_nopage(vmf: vm_fault, handler: Callable[..., Any]) -> int:
    """Call a ``nopage(vma, address, type)`` of LDD3's days: a page with a reference, NOPAGE_SIGBUS or NOPAGE_OOM."""
    found = handler(vmf.vma, vmf.address, [0])
    if not found:
        return VM_FAULT_SIGBUS
    if found == NOPAGE_OOM:
        return VM_FAULT_OOM
    vmf.page = found
    return 0
