"""What is known of one element of a memory pool, be it memory, a page or an object of Python's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.lang.struct import Struct
from kmock.mm.page import Page, PageBlock
from kmock.sanitizers.object import TAKEN, Allocation, FailedAllocation

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.stack import Stack


def is_null(element: Any) -> bool:
    """Whether it is C's NULL."""
    return element is None or (isinstance(element, int) and not element)


def value_of(k: Kernel, element: Any) -> int:
    """What tells an element from others: its address, or that of the object that it is in Python."""
    if isinstance(element, int):
        return int(element)
    if isinstance(element, Struct):
        return int(element._ptr)
    if isinstance(element, Page):
        return element.address
    address = k.mem.embedded.address(element)
    return id(element) if address is None else address


def memory_of(element: Any, since: int = -1) -> Allocation | None:
    """Return the memory that is the element, whole, and was allocated after allocation ``since``."""
    if isinstance(element, Page):
        owner = element.owner
        about = owner if isinstance(owner, PageBlock) and owner.page is element else None
    else:
        p = element._ptr if isinstance(element, Struct) else element
        about = getattr(p, "origin", None)
        if about is None or isinstance(about, FailedAllocation) or about.addr != p:
            return None
    return about if about is not None and about.seq > since else None


class Element:
    """One element: whose it is now, and the memory that it is, where it is memory of its own."""

    __slots__ = ("about", "keeps", "out", "reserved", "serial", "stack", "task", "token", "value")

    def __init__(self, k: Kernel, element: Any, since: int, serial: int) -> None:
        self.value = value_of(k, element)
        self.token = serial if self.value == id(element) else self.value
        """What the array of the reserve holds for it."""
        self.about = memory_of(element, since)
        self.keeps = None if isinstance(element, int | Struct) else element
        """The element, where only that keeps its number from being another's."""
        self.serial = serial
        """Ordinal of the moment when it was made, or taken."""
        self.out = False
        """Whether somebody has taken it."""
        self.reserved = False
        """Whether its memory is closed while it waits in the reserve."""
        self.task: Task = k.current
        self.stack: Stack = ()

    def is_now(self, element: Any) -> bool:
        """Whether ``element`` is this very one, and no stale pointer to where it is now."""
        origin = getattr(element._ptr if isinstance(element, Struct) else element, "origin", None)
        return self.about is None or origin is None or isinstance(element, Page) or origin is self.about

    def taken(self, k: Kernel, serial: int, stack: Stack) -> None:
        """Somebody takes it: ``kmemleak_update_trace()``, and who is to give it back, and how."""
        self.out = True
        self.serial = serial
        self.task = k.current
        self.stack = stack
        about = self.about
        if about is None:
            return
        about.alloc_stack = stack
        about.task = k.current
        about.fate = TAKEN
        if isinstance(about, PageBlock) and about.call != "kmalloc":
            about.call = "mempool_alloc"
        elif about.area == "slab":
            k.slab.claim(about, "mempool_free")
