"""What drivers show to processes by its frame number, and pages that they insert: whether it is theirs, and stays so.

A page table's entry for a frame holds no reference. Whoever makes one answers for it: that the frames are those of
the object that was meant, and that the object stays for as long as a process can see it.
"""

from __future__ import annotations

import dis
from typing import TYPE_CHECKING, Final, NoReturn

from kmock.lang.ptr import Ptr
from kmock.sanitizers.leftovers import Registration
from kmock.stack import HERE, capture, end_of, site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.hw.mmio import Window
    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

PAGE_SIZE: Final = 4096
_PFN_MASK: Final = 0x000F_FFFF_FFFF_F000
_SPECIAL: Final = 1 << 9
_VM_IO: Final = 0x4000
_VM_PFNMAP: Final = 0x400
_VM_DONTEXPAND: Final = 0x4_0000
_VM_DONTDUMP: Final = 0x400_0000
_VM_WRITE: Final = 0x2
_MAYWRITE_SHARED: Final = 0x28
_MAY_BECOME_WRITABLE: Final = _VM_WRITE | _MAYWRITE_SHARED
_FORBIDDEN: Final = (-1, -13)
"""-EPERM and -EACCES."""
_PG_SLAB: Final = 9
_ULONG: Final = 1 << 64
PHYS_BITS: Final = 46
COHERENT_ALLOC = "dma_alloc_coherent"


class ShownPage:
    """Stands at the end of memory that a process sees by its frame number, and hears when that is freed."""

    __slots__ = ("__weakref__", "pfn", "stack")

    def __init__(self, pfn: int, stack: Stack) -> None:
        self.pfn = pfn
        self.stack = stack

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory goes."""
        k.pfnmaps.freed(self, allocation)


class ShownDevice:
    """Device memory that an area of a process shows."""

    __slots__ = ("pfn", "pfns", "stack", "vma")

    def __init__(self, vma: vm_area_struct, pfn: int, pfns: int, stack: Stack) -> None:
        self.vma = vma
        self.pfn = pfn
        self.pfns = pfns
        self.stack = stack


class PfnMaps:
    """The frames that one machine's drivers show."""

    __slots__ = ("_devices", "_failed", "_read_only", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._devices: list[ShownDevice] = []
        self._failed: list[tuple[vm_area_struct, int, Stack]] = []
        """Ranges that could not be shown, while the driver's handler runs."""
        self._read_only: set[object] = set()
        """Handlers that sent a process away that wanted to write."""

    # -- is it the right thing --------------------------------------------------------------------

    def vet(self, vma: vm_area_struct, address: int, pfn: int, size: int, *, coherent: bool) -> None:
        """``size`` bytes from frame ``pfn`` on are about to be shown at ``address``; as ``coherent`` memory, or just so."""
        end = address + (size + PAGE_SIZE - 1 & -PAGE_SIZE)
        if (vma.vm_pgoff + vma.pages) << 12 > _ULONG:
            text = f"vm_pgoff {vma.vm_pgoff:#x} and {vma.pages} page(s) more are beyond any object's end"
            self._report("mmap-offset-overflow", text, key=(vma, "offset"))
        elif self._wrong_frame(pfn):
            return
        elif not coherent and getattr(self._owner(pfn), "call", "") == COHERENT_ALLOC:
            text = "the frame belongs to dma_alloc_coherent(): where it lies, and how it is cached, is the DMA API's business"
            self._report("dma-mmap-coherent-bad", text, key=(vma, "coherent"))
        elif end > vma.vm_end:
            text = f"[{address:#x}, {end:#x}) is mapped, and the area ends at {vma.vm_end:#x}"
            self._report("mmap-size-unchecked", text, key=(vma, "end"))
        elif (room := self._room(pfn, size)) is not None and size > room[1]:
            about, left = room
            text = f"{size} bytes are mapped, and {about} has {max(left, 0)} from there on"
            self._report("mmap-size-unchecked", text, key=(vma, "object"))
        elif self._ignores_offset(vma, address, pfn):
            text = f"the process asked for page {vma.vm_pgoff}, and is shown the first one: nothing looks at vm_pgoff"
            self._report("mmap-size-unchecked", text, key=(vma, "pgoff"))

    def _wrong_frame(self, pfn: int) -> bool:
        """Whether ``pfn`` is something else than a frame's number; that is reported."""
        k = self.kernel
        if k.memmap.valid(pfn) or self._window(pfn << 12) is not None:
            return False
        if k.layout.is_vmalloc((k.layout.page_offset + (pfn << 12)) % _ULONG):
            text = "it is made of a vmalloc() address by virt_to_phys(): use vmalloc_to_pfn(), page by page"
        elif k.memmap.valid(pfn >> 12) or self._window(pfn) is not None:
            text = "it is a physical address: shift it right by PAGE_SHIFT"
        elif pfn >> PHYS_BITS - 12:
            text = "there is no such physical address"
        else:
            return False
        self._report("remap-wrong-pfn", f"frame {pfn:#x}: {text}", key=("pfn", pfn))
        return True

    def _window(self, phys: int) -> Window | None:
        k = self.kernel
        return k.bus.overlapping(phys, phys + PAGE_SIZE) if "bus" in vars(k) else None

    def _room(self, pfn: int, size: int) -> tuple[str, int] | None:
        """What lies at a frame, and how many bytes of it there are from there on; None where nobody knows.

        Pages that one line of the driver allocated and that follow each other are one thing, as after split_page().
        """
        k = self.kernel
        phys = pfn << 12
        if not k.memmap.valid(pfn):
            window = self._window(phys)
            return (f"the device at {window.base:#x}", window.end - phys) if window is not None else None
        about = self._owner(pfn)
        if about is None:
            return None
        end = about.end
        while end < about.addr + size and (more := self._owner(end - k.layout.page_offset >> 12)) is not None:
            if more.addr != end or site(more.alloc_stack) != site(about.alloc_stack):
                break
            end = more.end
        return about.what, end - max(k.layout.page_offset + phys, about.addr)

    def _owner(self, pfn: int) -> Allocation | None:
        """The living allocation that a frame's first byte is of."""
        about = self.kernel.mem.owner(self.kernel.layout.page_offset + (pfn << 12))
        return about if about is not None and about.live and about.area in ("slab", "page") else None

    def _ignores_offset(self, vma: vm_area_struct, address: int, pfn: int) -> bool:
        """Whether the process asked for another page than the first, and nothing in the driver's code asks which."""
        k = self.kernel
        if not vma.vm_pgoff or address != vma.vm_start:
            return False
        about = self._owner(pfn) if k.memmap.valid(pfn) else None
        window = None if about is not None else self._window(pfn << 12)
        start = about.addr - k.layout.page_offset if about is not None else window.base if window is not None else -1
        return start >> 12 == pfn and not _mentions(capture(2), "vm_pgoff")

    # -- is it still there ------------------------------------------------------------------------

    def shown(self, vma: vm_area_struct, address: int, pfn: int, pfns: int) -> None:
        """``pfns`` frames from ``pfn`` on are shown at ``address``."""
        k = self.kernel
        stack = k.capture()
        if not k.memmap.valid(pfn):
            self._devices.append(ShownDevice(vma, pfn, pfns, stack))
            return
        for number in range(pfn, pfn + pfns):
            about = self._owner(number)
            if about is not None:
                last = min(about.end, k.layout.page_offset + (number + 1 << 12)) - 1
                k.mem.embedded.put(Ptr(last), ShownPage(number, stack))

    def freed(self, page: ShownPage, allocation: Allocation | None) -> None:
        """Memory is freed that was shown: report it if a process still sees it."""
        k = self.kernel
        seen = next(self._seen(page.pfn), None)
        if seen is None:
            return
        stack = k.capture()
        stacks = {"access": stack, "mapped": page.stack}
        if allocation is not None:
            stacks["allocated"] = allocation.alloc_stack
        k.report(
            "remap-ram-then-free",
            f"BUG: kmock: remap-ram-then-free in {k.symbol(stack)}",
            lines=[f"frame {page.pfn:#x} is freed, and a process still sees it at {seen:#x}"],
            stacks=stacks,
            object=k.kasan.info(allocation, allocation.addr) if allocation is not None else None,
            key=("shown", allocation if allocation is not None else page.pfn),
        )

    def _seen(self, pfn: int) -> Iterator[int]:
        """The addresses at which processes see a frame by its number."""
        for process in self.kernel.processes:
            for vpn, entry in process.mm.pgd.entries.items():
                if entry & _SPECIAL and (entry & _PFN_MASK) >> 12 == pfn:
                    yield vpn << 12

    def device_gone(self, start: int, end: int, what: str) -> None:
        """A device, or a driver's claim to it, goes: report processes that still see its memory."""
        k = self.kernel
        for shown in self._devices:
            first, last = shown.pfn << 12, (shown.pfn + shown.pfns << 12) - 1
            if last < start or first >= end or next(self._seen(shown.pfn), None) is None:
                continue
            stack = k.capture()
            k.report(
                "mmap-not-zapped",
                f"BUG: kmock: mmap-not-zapped in {k.symbol(stack)}",
                lines=[f"{what} goes, and a process still sees [mem {first:#010x}-{last:#010x}]"],
                stacks={"access": stack, "mapped": shown.stack},
                key=("device", shown.vma),
            )

    def registrations(self) -> Iterator[Registration]:
        """What processes map of files, for whose driver goes: its handlers are called when they unmap it."""
        for process in self.kernel.processes:
            for vma in process.mm.vmas.values():
                handler = vma.vm_file.f_op.mmap if vma.vm_file is not None and vma.vm_file.f_op is not None else None
                if handler is not None:
                    what = f"a mapping of {vma.vm_file.path} at {vma.vm_start:#x}"
                    stack = end_of(handler)
                    yield Registration(what, stack, "munmap", "mmap-not-zapped", key=("module", vma))

    # -- was it done right ------------------------------------------------------------------------

    def inserting(self, vma: vm_area_struct) -> None:
        """A page is inserted into an area that is VM_MIXEDMAP already: one lock or the other has to be held."""
        if not vma.vm_mm.is_locked():
            self._report("insert-page-unlocked", "mmap_lock is not held", key=(vma, "lock"))

    def changing_flags(self, vma: vm_area_struct, function: str) -> None:
        """``function`` changes ``vm_flags``: that takes the lock for writing, which a fault handler does not have."""
        mm = vma.vm_mm
        if mm.mmap_lock.of(self.kernel).owner is None:
            self._report("insert-page-unlocked", f"{function}() without mmap_lock for writing", key=(vma, "lock"))

    def changing(self, vma: vm_area_struct, function: str) -> None:
        """``function`` works on an area: the lock has to be held, for it not to go meanwhile."""
        if not vma.vm_mm.is_locked():
            self._report("gup-unlocked-mm", f"{function}() is called without mmap_lock", key=(vma, function))

    def mixed(self, vma: vm_area_struct) -> None:
        """Frames go into an area that has pages already."""
        self._report("insert-pfn-flags", "an area that is VM_MIXEDMAP becomes VM_PFNMAP too", key=(vma, "flags"))

    def corrupted(self, address: int, entry: int, *, write: bool) -> NoReturn:
        """``pgtable_bad()``: the processor finds reserved bits set in an entry that somebody has made."""
        k = self.kernel
        task = k.current
        code = 0xC | 2 * write
        k.die(
            "remap-wrong-pfn",
            f"{task.comm}: Corrupted page table at address {address:x}",
            lines=[f"PTE {entry:x}", f"Bad pagetable: {code:04x} [#{k.oopses + 1}] {k.build}"],
            stacks={"access": k.capture()},
        )

    def outside(self, vma: vm_area_struct, address: int, function: str) -> None:
        """Something is inserted beside the area."""
        text = f"{function}() at {address:#x}, and the area is [{vma.vm_start:#x}, {vma.vm_end:#x})"
        self._report("insert-page-outside", text)

    def unreferenced(self, page: Page, function: str) -> None:
        """A page without references is inserted."""
        text = f"{function}() of page {page.pfn:#x}, which nobody holds: it is free, or no page of its own"
        self._report("insert-page-refcount-zero", text)

    def bad_type(self, page: Page, function: str) -> bool:
        """``validate_page_before_insert()``: whether a page can't be shown; report also what the kernel lets through."""
        head = page.head or page
        owner = head.owner
        mapping = head.mapping
        anon = mapping is not None and type(mapping).__name__ == "AnonVma"
        typed = page._mapcount < -1
        slab = head.test(_PG_SLAB)
        what = "an anonymous page of a process" if anon else "a page of kmalloc()" if slab else ""
        if getattr(owner, "call", "") == "kmalloc":
            what = "a page of kmalloc()"
        if what or typed:
            self._report("insert-page-bad-type", f"{function}() of page {page.pfn:#x}, {what or 'which has a type'}")
        return anon or slab or typed

    def occupied(self, vma: vm_area_struct, address: int, there: int, pfn: int) -> None:
        """Another frame is there already, and stays, and the driver is told that all is well."""
        text = f"frame {pfn:#x} at {address:#x}, where frame {there:#x} is and stays"
        self._report("remap-occupied", text, key=(vma, address))

    def not_zapped(self, vma: vm_area_struct, start: int, end: int) -> None:
        """Nothing is taken away, and nobody is told."""
        why = f"[{start:#x}, {end:#x}) is not in the area" if vma.vm_flags & _VM_PFNMAP else "the area is not VM_PFNMAP"
        self._report("mmap-not-zapped", f"zap_vma_ptes() does nothing: {why}", key=(vma, "zap"))

    def not_reserved(self, pfn: int) -> None:
        """``remap_page_range()`` shows zeroes for a page of RAM that is not reserved."""
        self._report("remap-wrong-pfn", f"frame {pfn:#x} is RAM that is not PG_reserved: a zero page is shown for it")

    def unflagged(self, area: Allocation) -> None:
        """``remap_vmalloc_range()`` of an area that is not for processes."""
        k = self.kernel
        stack = k.capture()
        k.report(
            "remap-vmalloc-unflagged",
            f"BUG: kmock: remap-vmalloc-unflagged in {k.symbol(stack)}",
            lines=[f"{area.what} is not VM_USERMAP: it may hold what is no process' business"],
            stacks={"access": stack, "allocated": area.alloc_stack},
            object=k.kasan.info(area, area.addr),
            key=(area, "unflagged"),
        )

    def beyond_area(self, area: Allocation, address: int) -> NoReturn:
        """``remap_vmalloc_range()`` runs into the guard page: ``vmalloc_to_page()`` gives NULL, which is looked into."""
        self.kernel.kasan.page_fault(8, write=False, origin=None, by="_compound_head", n=8)

    # -- what the handler left --------------------------------------------------------------------

    def remap_failed(self, vma: vm_area_struct, address: int) -> None:
        """The range that begins at ``address`` could not be shown."""
        self._failed.append((vma, address, self.kernel.capture()))

    def handler_done(self, vma: vm_area_struct, handler: object, result: int) -> None:
        """The driver's mmap handler has returned ``result``."""
        failed, self._failed = self._failed, []
        if result:
            if result in _FORBIDDEN and vma.vm_flags & _VM_WRITE:
                self._read_only.add(handler)
            return
        mm = vma.vm_mm
        mapped = any(mm.pte(at) for at in range(vma.vm_start, vma.vm_end, PAGE_SIZE)) if failed else False
        for of, address, stack in failed:
            if of is vma and mapped and not mm.pte(address):
                self._report(
                    "remap-not-reset-on-error",
                    f"{address:#x} could not be mapped, and the handler returns 0 with the rest of the area mapped",
                    key=(vma, "partial"),
                    stack=stack,
                )
        if vma.vm_flags & (_VM_IO | _VM_PFNMAP) and not vma.vm_flags & _VM_DONTEXPAND:
            self._flags_missing(vma, handler)
        if vma.vm_flags & _MAY_BECOME_WRITABLE == _MAYWRITE_SHARED and self._refuses_writers(handler):
            self._report(
                "mmap-write-allowed",
                "the handler refuses VM_WRITE and leaves VM_MAYWRITE: mprotect() makes the area writable after all",
                key=(handler, "maywrite"),
                stack=_place(handler, "VM_WRITE", "vm_flags"),
            )

    def _refuses_writers(self, handler: object) -> bool:
        """Whether an mmap handler sends a process away that wants to write: it has done so, or its code says so."""
        names = getattr(getattr(handler, "__code__", None), "co_names", ())
        return handler in self._read_only or ("VM_WRITE" in names and bool({"EPERM", "EACCES"} & set(names)))

    def _flags_missing(self, vma: vm_area_struct, handler: object) -> None:
        missing = [
            name
            for flag, name in ((_VM_DONTEXPAND, "VM_DONTEXPAND"), (_VM_DONTDUMP, "VM_DONTDUMP"))
            if not vma.vm_flags & flag
        ]
        self._report(
            "mmap-flags-missing",
            f"an area that shows device memory is without {' and '.join(missing)}",
            key=(vma, "flags"),
            stack=_place(handler, "vm_flags"),
        )

    # -- words ------------------------------------------------------------------------------------

    def _report(self, kind: str, text: str, *, key: object = None, stack: Stack | None = None) -> None:
        k = self.kernel
        stack = stack or k.capture()
        k.report(
            kind,
            f"BUG: kmock: {kind} in {k.symbol(stack)}",
            lines=[text],
            stacks={"access": stack},
            key=(kind, key) if key is not None else None,
        )


def _mentions(stack: Stack, member: str) -> bool:
    """Whether the driver's functions on the stack name a member anywhere."""
    codes = (code for code in stack[::2] if not isinstance(code, int) and not code.co_filename.startswith(HERE))
    return any(member in code.co_names for code in codes)


def _place(function: object, *names: str) -> Stack:
    """A stack that points to a function of the driver's, at the last place that has the first of ``names`` it has."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ()
    for name in names:
        at = [i.offset for i in dis.get_instructions(code) if i.argval == name]
        if at:
            return code, at[-1]
    return code, 0
