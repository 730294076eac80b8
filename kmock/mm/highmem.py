"""Mapping pages into the kernel: ``kmap()``, ``kmap_local_page()``, ``kmap_atomic()`` (``mm/highmem.c``).

Where all memory is in the direct map these give the page's own address and cost nothing; a driver that
forgets to unmap works there, and fails on a machine with highmem. So every mapping is booked on both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kmock.errors import Deadlock
from kmock.kernel.hang import hang_report
from kmock.kernel.preempt import pagefault_disable, pagefault_enable, preempt_disable, preempt_enable
from kmock.lang.ptr import Ptr, make_ptr
from kmock.mm.layout import PAGE_SHIFT, PAGE_SIZE
from kmock.mm.page import Page, PageBlock
from kmock.sanitizers.describe import place
from kmock.sanitizers.object import FailedAllocation

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.stack import Stack

LAST_PKMAP: Final = 512
KM_MAX_IDX: Final = 16


class LocalMap(NamedTuple):
    """One kmap_local or kmap_atomic mapping of a task."""

    page: Page
    address: int
    atomic: bool
    window: PageBlock | None
    stack: Stack


class Highmem:
    """Mappings of one kernel."""

    __slots__ = ("_limit", "_slots", "_tasks", "kernel", "kmaps", "windows")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._limit = kernel.layout.direct_map_size
        self._slots = list(range(LAST_PKMAP - 1, -1, -1))
        self._tasks: dict[Task, None] = {}
        self.kmaps: dict[Page, list[Stack]] = {}
        """Where each page was kmap()ed, as often as it is."""
        self.windows: dict[Page, PageBlock] = {}
        """Windows in front of highmem pages."""
        kernel.census.register(self.end_all)

    def is_highmem(self, page: Page) -> bool:
        """``PageHighMem()``: whether the page has no address of its own."""
        return page.phys >= self._limit

    def page_address(self, page: Page) -> Ptr:
        """``page_address()``: NULL for a highmem page that is not mapped."""
        if page.phys < self._limit:
            owner = page.owner
            grabbed = self.kernel.page_alloc.grabbed
            origin = owner if isinstance(owner, PageBlock) else grabbed.get(page) if grabbed else None
            return make_ptr(self.kernel.layout.page_offset + page.phys, origin)
        window = self.windows.get(page)
        if window is not None:
            return make_ptr(window.addr, window)
        k = self.kernel
        stack = k.capture()
        headline = f"BUG: kmock: page-address-highmem in {k.symbol(stack)}"
        k.report("page-address-highmem", headline, stacks={"access": stack}, key=(page, "page_address"))
        return make_ptr(0, FailedAllocation("page_address", PAGE_SIZE, stack))

    def _window(self, page: Page, address: int, call: str) -> PageBlock:
        k = self.kernel
        k.mmu.map(address >> PAGE_SHIFT, page.pfn)
        window = PageBlock()
        window.page = page
        window.order = window.gfp = window.scan = window.seq = 0
        window.call = call
        window.released_by = ""
        window.addr = address
        window.size = PAGE_SIZE
        window.phys = page.phys
        window.live = True
        window.written = None
        window.alloc_stack = k.capture()
        window.free_stack = window.free_task = None
        window.task = k.cpu.task
        window.cpu = k.cpu
        window.time = k.clock.now
        return window

    def _close(self, window: PageBlock) -> None:
        k = self.kernel
        k.mmu.unmap(window.addr >> PAGE_SHIFT)
        window.live = False
        window.free_stack = k.capture()
        window.free_task = k.cpu.task

    # -- kmap() ---------------------------------------------------------------------------------

    def kmap(self, page: Page) -> Ptr:
        """``kmap()``: may sleep for a free window."""
        k = self.kernel
        k.atomic_sleep.might_sleep(f"include/linux/highmem-internal.h:{44 if k.layout.bits == 32 else 166}")
        self.kmaps.setdefault(page, []).append(k.capture())
        if self.is_highmem(page) and page not in self.windows:
            if not self._slots:
                raise Deadlock(hang_report(k, []))
            address = k.layout.pkmap + (self._slots.pop() << PAGE_SHIFT)
            self.windows[page] = self._window(page, address, "kmap")
        return self.page_address(page)

    def kunmap(self, page: Page) -> None:
        """``kunmap()``."""
        if not isinstance(page, Page):
            self._report("kmap-wrong-arg", "kunmap() takes the page, not its address")
            page = self._page_at(int(page))
        stacks = self.kmaps.get(page)
        if not stacks:
            if isinstance(page, Page):
                self._report("kmap-wrong-arg", "kunmap() of a page that is not mapped")
            return
        stacks.pop()
        if not stacks:
            del self.kmaps[page]
            if page in self.windows:
                window = self.windows.pop(page)
                self._slots.append(window.addr - self.kernel.layout.pkmap >> PAGE_SHIFT)
                self._close(window)

    def _page_at(self, address: int) -> Any:
        phys = self.kernel.mem.translate(address)
        return self.kernel.memmap.page(phys >> PAGE_SHIFT) if phys is not None else None

    # -- kmap_local_page(), kmap_atomic() -------------------------------------------------------

    def kmap_local(self, page: Page, *, atomic: bool = False) -> Ptr:
        """``kmap_local_page()``; with ``atomic``, ``kmap_atomic()``: no sleeping and no page faults until unmapped."""
        k = self.kernel
        if atomic:
            preempt_disable(k)
            pagefault_disable(k)
        task = k.cpu.task
        window = None
        if self.is_highmem(page):
            if len(task.kmap) >= KM_MAX_IDX:
                k.bug("kmap-leak", "mm/highmem.c:467")
            address = k.layout.fixmap + (k.cpu.id * KM_MAX_IDX + len(task.kmap) << PAGE_SHIFT)
            window = self._window(page, address, "kmap_local_page")
            p = make_ptr(address, window)
        else:
            p = self.page_address(page)
        task.kmap.append(LocalMap(page, int(p), atomic, window, k.capture()))
        self._tasks[task] = None
        return p

    def kunmap_local(self, address: int, *, atomic: bool = False) -> None:
        """``kunmap_local()``, ``kunmap_atomic()``: in reverse order of mapping, with the address, in the same task."""
        k = self.kernel
        name = "kunmap_atomic" if atomic else "kunmap_local"
        at = self._address(address, name)
        maps = k.cpu.task.kmap
        found = next((i for i in range(len(maps) - 1, -1, -1) if maps[i].address == at), -1)
        if found >= 0:
            if found != len(maps) - 1:
                self._out_of_order(maps[-1])
            self._drop_local(maps, found)
        elif (other := next((t for t in self._tasks if any(m.address == at for m in t.kmap)), None)) is not None:
            self._report("kmap-local-crossed-thread", f"{name}() in {k.current!r} of what {other!r} mapped")
            self._drop_local(other.kmap, next(i for i, m in enumerate(other.kmap) if m.address == at))
        else:
            self._report("kmap-wrong-arg", f"{name}() of an address that is not mapped: {at:#x}")
        if atomic:
            pagefault_enable(k)
            preempt_enable(k)

    def _address(self, address: int, name: str) -> int:
        if not isinstance(address, Page):
            return int(address) & -PAGE_SIZE
        self._report("kmap-wrong-arg", f"{name}() takes the address, not the page")
        maps = self.kernel.cpu.task.kmap
        return next((m.address for m in reversed(maps) if m.page is address), 0)

    def _out_of_order(self, top: LocalMap) -> None:
        k = self.kernel
        lines = [f"the innermost mapping was made at {place(top.stack)}"]
        if top.window is not None:
            k.warn("kmap-local-order", "mm/highmem.c:610", "kunmap_local_indexed", lines=lines, key=top.stack)
        else:
            self._report("kmap-local-order", *lines)

    def _drop_local(self, maps: list[LocalMap], i: int) -> None:
        window = maps.pop(i).window
        if window is not None:
            self._close(window)

    # -- reports --------------------------------------------------------------------------------

    def _report(self, kind: str, *lines: str) -> None:
        k = self.kernel
        stack = k.capture()
        k.report(kind, f"BUG: kmock: {kind} in {k.symbol(stack)}", lines=lines, stacks={"access": stack})

    def _leaked(self, what: str, stack: Stack) -> None:
        headline = f"BUG: kmock: kmap-leak: {what} at {place(stack)}"
        self.kernel.report("kmap-leak", headline, stacks={"access": stack}, key=stack)

    def end(self, task: Task) -> None:
        """Report the mappings that ``task``, which ends now, left behind."""
        for m in reversed(task.kmap):
            self._leaked("kmap_atomic()" if m.atomic else "kmap_local_page()", m.stack)
        task.kmap.clear()
        self._tasks.pop(task, None)

    def end_all(self) -> None:
        """Report every mapping that is left at the machine's end."""
        for task in [*self._tasks]:
            self.end(task)
        for stacks in self.kmaps.values():
            for stack in stacks:
                self._leaked("kmap()", stack)
        self.kmaps.clear()
