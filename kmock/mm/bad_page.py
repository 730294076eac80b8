"""Pages that are in no state to be freed or handed out (``bad_page()`` of ``mm/page_alloc.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock import kinds
from kmock.mm.debug import buddy_order, dump_page
from kmock.mm.page import (
    Page,
    PageBlock,
    PG_active,
    PG_locked,
    PG_lru,
    PG_mlocked,
    PG_private,
    PG_private_2,
    PG_reserved,
    PG_slab,
    PG_unevictable,
    PG_writeback,
)
from kmock.mm.slab import Slab
from kmock.sanitizers.describe import hex_rows, origin_stacks
from kmock.sanitizers.object import UNWRITTEN, Allocation

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.report import Report
    from kmock.stack import Stack

PAGE_FLAGS_CHECK_AT_FREE: Final = sum(
    1 << flag
    for flag in (
        PG_lru,
        PG_locked,
        PG_private,
        PG_private_2,
        PG_writeback,
        PG_reserved,
        PG_slab,
        PG_active,
        PG_unevictable,
        PG_mlocked,
    )
)
PAGE_FLAGS_CHECK_AT_PREP: Final = (1 << 22) - 1
PAGE_POISON: Final = 0xAA

_KIND_OF_FLAG: Final = (
    (1 << PG_locked | 1 << PG_writeback, "page-free-locked"),
    (1 << PG_private | 1 << PG_private_2, "page-free-private"),
    (1 << PG_slab, "free-pages-of-kmalloc"),
)


class BadPages:
    """Looks at the state of pages on their way into and out of the allocator."""

    __slots__ = ("_last", "cause", "found", "kernel", "life")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.cause = ""
        """What the driver did wrong, where that is known beforehand."""
        self.life: dict[str, Stack] = {}
        """The stacks of the memory it was done to: the free itself takes it away from its page."""
        self.found = 0
        """Bad pages so far."""
        self._last: Report | None = None

    def caused_by(self, kind: str, function: str, page: Page) -> _Cause:
        """Name what is reported inside the ``with`` block ``kind``; report it at its end if the kernel saw nothing."""
        return _Cause(self, kind, function, page)

    def complain(self, kind: str, function: str, page: Page) -> None:
        """Report a mistake that the kernel does not notice."""
        k = self.kernel
        lines = dump_page(page, f"kmock: {kind}")
        k.report(kind, f"BUG: kmock: {kind} in {function}()", lines=lines, stacks=self.blamed(page), key=(page, kind))

    def bug(self, kind: str, at: str, page: Page, condition: str, form: str = "VM_BUG_ON_PAGE") -> None:
        """``VM_BUG_ON_PAGE(condition, page)`` at a place of the kernel's source."""
        k = self.kernel
        self.found += 1
        k.bug(self.cause or kind, at, headlines=dump_page(page, f"{form}({condition})"), stacks=self.blamed(page))

    def blamed(self, page: Page) -> dict[str, Any]:
        """The stacks of a report about ``page``, which also tells why its memory may be left in the end."""
        return {"access": self.kernel.capture(), **(self.life or self.life_of(page))}

    def life_of(self, page: Page) -> dict[str, Stack]:
        """Return the stacks of the memory that ``page`` is, or begins with, and take it for explained."""
        owner = page.owner
        about = owner.probe(self.kernel.layout.page_offset + page.phys) if isinstance(owner, Slab) else owner
        if not isinstance(about, Allocation):
            return self.kernel.grabs.life_of(page) if self.kernel.page_alloc.grabbed else {}
        self.kernel.census.told(about)
        stacks = origin_stacks(about)
        if isinstance(about, PageBlock) and about.lent:
            stacks["given to a process"] = about.lent
        return stacks

    # -- bad_page() -----------------------------------------------------------------------------

    def report(self, page: Page, reason: str, kind: str = "page-flags-corrupt") -> None:
        """``bad_page()``: say what is wrong; the page is not used any more."""
        k = self.kernel
        headline = f"BUG: Bad page state in process {k.current.comm}  pfn:{page.pfn:05x}"
        lines = dump_page(page, reason)
        self.found += 1
        if self.cause and self._last is not None and self._last.kind == self.cause:
            # One wrong free may find several bad pages.
            self._last.followed_by.append(headline)
            k.log.write_all([headline, *lines])
        else:
            self._last = k.report(self.cause or kind, headline, lines=lines, stacks=self.blamed(page), taint="B")
        page._mapcount = -1

    def forget(self) -> None:
        """A new free begins: what it finds is news."""
        self._last = None

    def check_free(self, page: Page) -> bool:
        """``free_page_is_bad()``: whether the page may not be freed as it is; if so it is reported."""
        if not (
            page.flags & PAGE_FLAGS_CHECK_AT_FREE or page._refcount or page.mapping is not None or page._mapcount != -1
        ):
            return False
        self.report(page, *self._reason(page, PAGE_FLAGS_CHECK_AT_FREE, "FREE"))
        return True

    def check_tail(self, head: Page, page: Page) -> bool:
        """``free_tail_pages_check()``: whether a tail page of a compound page being freed is none of it."""
        reason = ""
        if page.mapping is not None:
            reason = "corrupted mapping in tail page"
        elif page.head is None:
            reason = "PageTail not set"
        elif page.head is not head:
            reason = "compound_head not consistent"
        if reason:
            self.report(page, reason)
        page.mapping = None
        page.head = None
        return bool(reason)

    def check_new(self, page: Page) -> bool:
        """``check_new_page()``: whether a free page can't be handed out; if so it is reported."""
        if not (page.flags or page._refcount or page.mapping is not None or page._mapcount != -1):
            return False
        self.forget()
        self.report(page, *self._reason(page, PAGE_FLAGS_CHECK_AT_PREP, "PREP"))
        return True

    @staticmethod
    def _reason(page: Page, mask: int, at: str) -> tuple[str, str]:
        flags = page.flags & mask
        if flags:
            kind = next((kind for bits, kind in _KIND_OF_FLAG if flags & bits and at == "FREE"), "page-flags-corrupt")
            return f"PAGE_FLAGS_CHECK_AT_{at} flag(s) set", kind
        if page._refcount:
            return "nonzero _refcount", "page-flags-corrupt"
        if page.mapping is not None:
            known = not isinstance(page.mapping, int)
            return "non-NULL mapping", "page-free-in-cache" if known else "page-flags-corrupt"
        return "nonzero mapcount", "page-free-mapped" if page._mapcount > -1 else "page-flags-corrupt"

    def check_drained(self, page: Page) -> bool:
        """``bulkfree_pcp_prepare()``: whether a page that comes off a processor's list is not fit to be free."""
        if buddy_order(page) >= 0:
            self.report(page, "nonzero mapcount", "page-double-free")
            return True
        return self.check_free(page)

    # -- page_poison=1 --------------------------------------------------------------------------

    def check_poison(self, page: Page) -> None:
        """``check_poison_mem()``: report what was written to a page while it was free."""
        k = self.kernel
        data = k.ram.bytes[page.phys : page.phys + 4096].tobytes()
        first = len(data) - len(data.lstrip(b"\xaa"))
        if first == len(data):
            return
        end = len(data.rstrip(b"\xaa"))
        changed = data[first:end]
        flipped = changed[0] ^ PAGE_POISON
        single = len(changed) == 1 and not flipped & flipped - 1
        address = k.layout.page_offset + page.phys + first
        k.report(
            "page-poison-overwritten",
            "pagealloc: single bit error" if single else "pagealloc: memory corruption",
            lines=[*hex_rows(address, changed), *dump_page(page, "pagealloc: corrupted page details")],
            stacks=self.blamed(page),
            attributes={"address": address, "size": len(changed)},
        )


class _Cause:
    """See :meth:`BadPages.caused_by`. No contextlib: its frames would count as the driver's."""

    __slots__ = ("_bad", "_before", "_function", "_kind", "_outer", "_page")

    def __init__(self, bad: BadPages, kind: str, function: str, page: Page) -> None:
        self._bad = bad
        self._kind = kind
        self._function = function
        self._page = page

    def __enter__(self) -> None:
        # What is only doubtful does not explain what the kernel finds.
        lint = self._kind and kinds.kind(self._kind).severity == "lint"
        self._outer, self._bad.cause = self._bad.cause, "" if lint else self._kind
        self._bad.life = self._bad.life_of(self._page) if self._kind and not lint else {}
        self._before = self._bad.found

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bad.cause = self._outer
        if self._kind and kind is None and self._bad.found == self._before:
            self._bad.complain(self._kind, self._function, self._page)
        self._bad.life = {}


def new_block(k: Kernel, page: Page, size: int, order: int, gfp: int, call: str, *, written: bool) -> PageBlock:
    """Return the record of a living allocation; its stacks are the caller's to fill in."""
    block = PageBlock()
    block.page = page
    block.order = order
    block.gfp = gfp
    block.call = call
    block.released_by = ""
    block.lent = ()
    block.phys = page.phys
    # A page of highmem has no address of its own.
    block.addr = k.layout.page_offset + page.phys if page.phys < k.layout.direct_map_size else 0
    block.size = size
    block.live = True
    block.written = None if written else UNWRITTEN
    block.free_stack = block.free_task = None
    block.task = k.cpu.task
    block.cpu = k.cpu
    block.time = k.clock.now
    k.seq = block.seq = k.seq + 1
    block.scan = 0
    return block
