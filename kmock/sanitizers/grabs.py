"""Pages of processes that drivers took: what they do with them, and whether they give them back.

A page that ``get_user_pages()`` or ``pin_user_pages()`` gave is the driver's until it lets go of it. Meanwhile the
pointer that ``page_address()`` gives is one to this record, so a write through it is seen, and a use afterwards too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.sanitizers.leftovers import Registration
from kmock.sanitizers.object import Allocation
from kmock.stack import capture, site

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct
    from kmock.sanitizers.user_fetch import Traffic
    from kmock.stack import Stack

PAGE_SIZE: Final = 4096
_WRITE: Final = 0x01
_LONGTERM: Final = 0x1_0000
_PIN: Final = 0x4_0000
_BIAS: Final = 1024
LONG: Final = 10 * 10**9
"""Nanoseconds after which a pin is no matter of one transfer any more."""


class Grab(Allocation):
    """One page of a process, while the kernel has it and after."""

    __slots__ = ("dirty", "flags", "gets", "kernel", "own", "page", "pins", "told", "touched")
    area = "page"
    stale_kind: Final = "gup-use-after-unpin"

    def __init__(self, kernel: Kernel, page: Page) -> None:
        self.kernel = kernel
        self.page = page
        self.addr = kernel.layout.page_offset + page.phys
        self.phys = page.phys
        self.size = PAGE_SIZE
        self.pins = self.gets = 0
        """How often it was pinned, and how often a reference was taken, and not given back yet."""
        self.own = 0
        """References that the driver took itself."""
        self.flags = 0
        self.touched: Stack | None = None
        """Where the kernel first wrote to it."""
        self.dirty = False
        self.told = False
        """Whether it was told of that it is given back wrongly: no news when it is left in the end."""
        self.scan = 0

    @property
    def live(self) -> bool:  # type: ignore[override]  # follows from the counts
        """Whether the driver has it."""
        return self.pins + self.gets + self.own > 0

    @property
    def written(self) -> bytearray:
        """Every byte has a value; not None, so that :meth:`mark_written` hears of stores."""
        return bytearray(b"\x01") * PAGE_SIZE

    @written.setter
    def written(self, value: object) -> None:
        """Nothing to note beside what :meth:`mark_written` does."""

    def mark_written(self, start: int, n: int) -> None:
        """The kernel stored something."""
        if self.touched is None:
            self.kernel.grabs.touched(self)
        self.dirty = False

    def unwritten(self, start: int, n: int) -> list[tuple[int, int]]:
        """Return no ranges."""
        return []

    @property
    def what(self) -> str:
        """Say which page, and how it was had."""
        return f"page {self.page.pfn:#x} of a process, taken by {'pin' if self.flags & _PIN else 'get'}_user_pages()"

    @property
    def undo(self) -> str:
        """The call that gives it back."""
        return "unpin_user_page" if self.flags & _PIN else "put_page"


class PageArray(list[Any]):
    """C's array of page pointers that one call was to fill: ``asked`` entries, of which it has what it holds."""

    def __init__(self, kernel: Kernel, pages: Sequence[Page], asked: int, start: int) -> None:
        super().__init__(pages)
        self.kernel = kernel
        self.asked = asked
        self.start = start
        self.stack = capture(3)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int) and index >= len(self):
            self.kernel.grabs.beyond(self, index)
            return None
        return super().__getitem__(index)


class Grabs:
    """The pages that one machine's drivers have of its processes."""

    __slots__ = ("kernel", "pages")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.pages: dict[Page, Grab] = kernel.page_alloc.grabbed
        kernel.census.register(self.finish)

    # -- taken ------------------------------------------------------------------------------------

    def took(self, page: Page, flags: int) -> None:
        """``page`` was taken, once, the way ``flags`` say."""
        k = self.kernel
        grab = self.pages.get(page)
        if grab is None or not grab.live:
            grab = self._new(page)
        grab.flags |= flags
        if flags & _PIN:
            grab.pins += 1
        else:
            grab.gets += 1
        grab.dirty = False
        if grab.time != k.clock.now:
            grab.time = max(grab.time, k.clock.now)

    def _new(self, page: Page) -> Grab:
        k = self.kernel
        grab = self.pages[page] = Grab(k, page)
        grab.alloc_stack = k.capture()
        grab.free_stack = grab.free_task = None
        grab.task, grab.cpu, grab.time = k.current, k.cpu, k.clock.now
        k.seq = grab.seq = k.seq + 1
        return grab

    def of(self, page: Page) -> Grab | None:
        """The record of a page that was taken, be it long ago."""
        return self.pages.get(page)

    def life_of(self, page: Page) -> dict[str, Stack]:
        """Where a page was taken, and given back if it was, for reports about it."""
        grab = self.pages.get(page)
        if grab is None:
            return {}
        given = {"given back": grab.free_stack} if grab.free_stack else {}
        return {"taken": grab.alloc_stack} | given

    def pins_of(self, head: Page) -> int:
        """How many pins a compound page has, on whichever of its pages."""
        return sum(grab.pins for page, grab in self.pages.items() if (page.head or page) is head)

    # -- used -------------------------------------------------------------------------------------

    def touched(self, grab: Grab) -> None:
        """The kernel, or a device, writes to a page for the first time since it was taken."""
        k = self.kernel
        grab.touched = k.capture()
        if not grab.flags & _WRITE:
            self._report("gup-no-write-flag", grab, "it was taken without FOLL_WRITE, and is written to", grab.touched)

    def dirtied(self, page: Page) -> None:
        """The driver says that the page was written to."""
        grab = self.pages.get(page)
        if grab is None:
            return
        if not grab.live and page._refcount <= page.mapcount:
            self._report(
                "gup-use-after-unpin", grab, "it is marked dirty after it was given back", self.kernel.capture()
            )
        grab.dirty = True

    def beyond(self, array: PageArray, index: int) -> None:
        """Entry ``index`` of an array is used that the call did not fill."""
        if index < array.asked:
            self._count(
                "gup-short-ignored", f"page {index} is used of {array.asked} asked for and {len(array)} taken", array
            )
        elif array.start % PAGE_SIZE:
            self._count(
                "gup-unaligned-count",
                f"page {index} is used of {array.asked}: the first begins {array.start % PAGE_SIZE:#x} bytes before "
                "the buffer, so that its end lies in one page more",
                array,
            )
        else:
            raise IndexError(f"page {index} of an array of {array.asked}")

    def counted(self, pages: Sequence[Page], npages: int) -> Sequence[Page]:
        """Return the ``npages`` first of ``pages``; say so if there are fewer."""
        if npages > len(pages) and isinstance(pages, PageArray):
            self.beyond(pages, len(pages))
        return pages[:npages]

    # -- given back -------------------------------------------------------------------------------

    def got(self, page: Page) -> None:
        """``get_page()``: the driver takes a reference of its own."""
        grab = self.pages.get(page)
        if grab is not None and grab.live:
            grab.own += 1

    def put(self, page: Page) -> str:
        """``put_page()``, before the reference goes: the kind of mistake that it is, empty if it is none."""
        grab = self.pages.get(page)
        if grab is None:
            return ""
        if grab.own:
            grab.own -= 1
        elif grab.gets:
            grab.gets -= 1
        else:
            return self._put_wrongly(grab)
        self._let_go(grab)
        return ""

    @staticmethod
    def _put_wrongly(grab: Grab) -> str:
        """A reference goes that get_user_pages() did not give: it may be a mapping's, or a pin's."""
        page = grab.page
        own = page._refcount - grab.pins * _BIAS
        if own > page.mapcount or (grab.pins and page._refcount == 1):  # which is a free, and told as that
            return ""
        grab.told = True
        return "gup-put-vs-unpin" if grab.pins else "gup-unpin-twice"

    def unpinned(self, page: Page) -> str:
        """A pin is about to go: the kind of mistake that it is, empty if it is none."""
        grab = self.pages.get(page)
        if grab is not None and grab.pins:
            grab.pins -= 1
            self._let_go(grab)
            return ""
        if grab is None or grab.gets:
            return "gup-put-vs-unpin"
        return "gup-unpin-twice"

    def _let_go(self, grab: Grab) -> None:
        k = self.kernel
        if grab.touched is not None and not grab.dirty and not grab.gets + grab.pins:
            self._report(
                "gup-missing-dirty", grab, "it was written to and is given back without set_page_dirty_lock()",
                k.capture(), written=grab.touched,
            )  # fmt: skip
        if grab.flags & _PIN and not grab.flags & _LONGTERM and k.clock.now - grab.time > LONG:
            seconds = (k.clock.now - grab.time) // 10**9
            text = f"it was pinned for {seconds} s without FOLL_LONGTERM"
            self._report("gup-longterm-missing", grab, text, grab.alloc_stack)
        if not grab.live:
            grab.free_stack = k.capture()
            grab.free_task = k.current
            dma = vars(k).get("dma")
            for mapping in dma.ownership.frames.get(grab.page.pfn, ()) if dma is not None else ():
                text = f"it is given back while the device has it: {mapping.what}"
                self._report("gup-use-after-unpin", grab, text, grab.free_stack, mapped=mapping.stack)

    def freed(self, page: Page) -> None:
        """A page goes back to the allocator, whatever its record says."""
        grab = self.pages.pop(page, None)
        if grab is None or not grab.pins:
            return
        self._report("page-free-pinned", grab, f"it is freed with {grab.pins} pin(s)", self.kernel.capture())
        grab.pins = grab.gets = grab.own = 0

    # -- called wrongly ---------------------------------------------------------------------------

    def unlocked(self, mm: mm_struct, function: str, *, first_page: bool) -> None:
        """``function`` walks an address space without its lock; ``first_page`` if lockdep saw it look for a neighbour."""
        k = self.kernel
        stack = k.capture()
        headline = f"BUG: kmock: gup-unlocked-mm in {k.symbol(stack)}"
        lines = [f"{function}() is called without mmap_lock: the areas that it walks may go meanwhile"]
        if first_page and k.config.lockdep:
            headline = "WARNING: suspicious RCU usage"
            lines = [*_rcu_lines(k, 860), headline, *_rcu_lines(k, 816), *lines]
        k.report("gup-unlocked-mm", headline, lines=lines, stacks={"access": stack}, key=("gup-unlocked", site(stack)))

    def no_count(self, function: str, nr: int) -> None:
        """``function`` was asked for a number of pages that is none."""
        k = self.kernel
        stack = k.capture()
        k.report(
            "gup-negative-as-count",
            f"BUG: kmock: gup-negative-as-count in {k.symbol(stack)}",
            lines=[f"{function}() of {nr} pages"],
            stacks={"access": stack},
        )

    def asked(self, start: int, nr: int) -> None:
        """``nr`` pages are asked for from ``start`` on: report if that is the right number for an aligned start only.

        What the number should be is known where the process has passed the length of its buffer beside the address.
        """
        offset = start % PAGE_SIZE
        traffic: Traffic | None = self.kernel.uaccess.checks.calls.get(self.kernel.current) if offset else None
        if traffic is None or nr <= 0:
            return
        for length in traffic.lengths_beside(start, self.kernel.uaccess.read):
            if nr == -(-length // PAGE_SIZE) < -(-(offset + length) // PAGE_SIZE):
                self._miscounted(start, nr, length)
                return

    def _miscounted(self, start: int, nr: int, length: int) -> None:
        k = self.kernel
        stack = k.capture()
        text = (
            f"{nr} page(s) for {length} bytes that begin {start % PAGE_SIZE:#x} bytes into a page: it ends in one more"
        )
        k.report(
            "gup-unaligned-count",
            f"BUG: kmock: gup-unaligned-count in {k.symbol(stack)}",
            lines=[text],
            stacks={"access": stack},
            key=("gup-unaligned", site(stack)),
        )

    def on_pfnmap(self, vma: vm_area_struct) -> None:
        """Pages are asked for of an area that has none: a mistake, unless it is the process' and it is told."""
        k = self.kernel
        stack = k.capture()
        traffic: Traffic | None = k.uaccess.checks.calls.get(k.current)
        if traffic is not None:
            traffic.unanswered.append(lambda: self._say_pfnmap(vma, stack))
        else:
            self._say_pfnmap(vma, stack)

    def _say_pfnmap(self, vma: vm_area_struct, stack: Stack) -> None:
        k = self.kernel
        k.report(
            "gup-pfnmap",
            f"BUG: kmock: gup-pfnmap in {k.symbol(stack)}",
            lines=[f"the area at {vma.vm_start:#x} is VM_IO or VM_PFNMAP: it shows frames, and gives no pages"],
            stacks={"access": stack},
            key=("gup-pfnmap", site(stack)),
        )

    # -- left -------------------------------------------------------------------------------------

    def registrations(self) -> Iterator[Registration]:
        """The pages that are still taken, for whose driver goes."""
        for members in self._groups(0):
            grab = members[0]
            yield Registration(_told(members), grab.alloc_stack, grab.undo, "gup-pin-leak", key=("gup", grab))

    def end_call(self, began: int, in_use: Collection[Task] = ()) -> None:
        """The test's call is over: report what it took, after allocation ``began``, and has not given back.

        What tasks ``in_use`` took is theirs until they go.
        """
        for members in self._groups(began):
            if members[0].task not in in_use:
                self._report_left(members)

    def finish(self) -> None:
        """The machine stops."""
        self.end_call(0)

    def _groups(self, began: int) -> list[list[Grab]]:
        groups: dict[object, list[Grab]] = {}
        for grab in self.pages.values():
            if grab.pins + grab.gets and grab.seq > began and not grab.told:
                groups.setdefault(site(grab.alloc_stack), []).append(grab)
        return list(groups.values())

    def _report_left(self, members: list[Grab]) -> None:
        k = self.kernel
        grab = members[0]
        k.report(
            "gup-pin-leak",
            f"BUG: kmock: gup-pin-leak in {k.symbol(grab.alloc_stack)}",
            lines=[f"{_told(members)}, never given back by {grab.undo}()"],
            stacks={"access": grab.alloc_stack},
            key=("gup", grab),
            attributes={"count": len(members)},
        )

    # -- words ------------------------------------------------------------------------------------

    def _report(self, kind: str, grab: Grab, text: str, stack: Stack, **more: Stack) -> None:
        k = self.kernel
        k.report(
            kind,
            f"BUG: kmock: {kind} in {k.symbol(stack)}",
            lines=[f"{grab.what}: {text}"],
            stacks={"access": stack, "taken": grab.alloc_stack, **more},
            key=(grab, kind),
        )

    def _count(self, kind: str, text: str, array: PageArray) -> None:
        k = self.kernel
        stack = k.capture()
        k.report(
            kind,
            f"BUG: kmock: {kind} in {k.symbol(stack)}",
            lines=[text],
            stacks={"access": stack, "taken": array.stack},
            key=(kind, id(array)),
        )


def _told(members: list[Grab]) -> str:
    n = len(members)
    return f"{n} page{'s' * (n > 1)} of a process"


def _rcu_lines(k: Kernel, line: int) -> list[str]:
    return [
        "-----------------------------",
        f"lib/maple_tree.c:{line} suspicious rcu_dereference_check() usage!",
        "rcu_scheduler_active = 2, debug_locks = 1",
        *k.lockdep.held_lines(k.current),
    ]
