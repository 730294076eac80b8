"""Areas of the vmalloc address space: kmock's record of each, and ``struct vm_struct`` (``include/linux/vmalloc.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from kmock.lang.integers import u32, u64  # noqa: TC001 -- evaluated when vm_struct is made
from kmock.lang.ptr import Ptr  # noqa: TC001 -- likewise
from kmock.lang.struct import Struct
from kmock.mm.layout import PAGE_SIZE
from kmock.sanitizers.object import Allocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.mm.page import Page

VM_IOREMAP: Final = 0x1
VM_ALLOC: Final = 0x2
VM_MAP: Final = 0x4
VM_USERMAP: Final = 0x8
VM_DMA_COHERENT: Final = 0x10
VM_UNINITIALIZED: Final = 0x20
VM_NO_GUARD: Final = 0x40
VM_KASAN: Final = 0x80
VM_FLUSH_RESET_PERMS: Final = 0x100
VM_MAP_PUT_PAGES: Final = 0x200
VM_ALLOW_HUGE_VMAP: Final = 0x400

VM_VPAGES: Final = 0x10
"""Until 3.12: the array of pages is itself in vmalloc space."""
VM_UNLIST: Final = 0x20
"""Until 3.12, what is VM_UNINITIALIZED now."""


class vm_struct(Struct):
    """What the kernel knows of an area; ``size`` counts the guard page."""

    next: Ptr
    addr: Ptr
    size: u64
    flags: u64
    pages: Ptr
    page_order: u32
    nr_pages: u32
    phys_addr: u64
    caller: Ptr


class VmArea(Allocation):
    """One area, from its allocation until its addresses are used again."""

    __slots__ = ("array", "call", "flags", "gone", "pages", "phys_addr", "prot", "span", "struct")
    area = "vmalloc"
    call: str
    """The public call that made it."""
    flags: int
    """VM_*; 0 for a mapping of vm_map_ram(), which has no ``vm_struct``."""
    span: int
    """Bytes of address space, with the guard page."""
    pages: list[Page]
    """What is mapped from its start on."""
    prot: int
    array: Ptr
    """The driver's array of pages where VM_MAP_PUT_PAGES has given it away."""
    phys_addr: int
    struct: Ptr
    """Its ``vm_struct`` once somebody asked for that."""
    gone: bool
    """Whether it is unmapped: a vfree() in an interrupt comes first, and this later."""

    @property
    def what(self) -> str:
        """Say which call made it."""
        return f"a {self.usable // PAGE_SIZE}-page area of {self.call}()"

    @property
    def undo(self) -> str:
        """The call that gives it back."""
        by = {"kvmalloc": "kvfree", "vm_map_ram": "vm_unmap_ram", "vmap": "vunmap"}
        if self.flags & VM_MAP_PUT_PAGES:
            return "vfree"
        return by.get(self.call, "vfree" if self.flags & VM_ALLOC else "free_vm_area")

    @property
    def leak_kind(self) -> str:
        """Kind of report for never giving it back."""
        return "vmalloc-leak" if self.flags & VM_ALLOC else "vmap-leak"

    @property
    def untraced(self) -> bool:
        """Whether kmemleak overlooks it: it knows of memory, not of mappings."""
        return not self.flags & VM_ALLOC

    @property
    def guard(self) -> int:
        """Bytes behind it that are left unmapped."""
        return 0 if self.flags & VM_NO_GUARD or not self.flags else PAGE_SIZE

    @property
    def usable(self) -> int:
        """All bytes of its pages."""
        return self.span - self.guard

    @property
    def top(self) -> int:
        """Address behind the guard page."""
        return self.addr + self.span

    @property
    def copy_bound(self) -> tuple[str, int]:
        """Its guard page counts as its own: a copy that gets there faults."""
        return "vmalloc", self.span


class AreaPages:
    """Owner of the pages that vmalloc() took for an area."""

    __slots__ = ("area",)

    def __init__(self, area: VmArea) -> None:
        self.area = area

    def probe(self, address: int) -> Allocation | None:
        """Return the page at a direct-map address as memory of its own."""
        return LinearPage(self.area, address & -PAGE_SIZE)

    def live(self) -> Iterator[Allocation]:
        """Nothing that its area does not stand for."""
        return iter(())


@final
class LinearPage(Allocation):
    """A page of an area as the direct map shows it."""

    __slots__ = ("of",)
    area = "vmalloc"

    def __init__(self, of: VmArea, address: int) -> None:
        self.of = of
        self.addr = address
        self.size = PAGE_SIZE
        self.live = of.live
        self.phys = -1
        # What is stored through either view shows in the other, and only one of them is followed.
        self.written = of.written = None
        self.alloc_stack = of.alloc_stack
        self.free_stack = of.free_stack
        self.task, self.free_task = of.task, of.free_task
        self.cpu, self.time, self.seq, self.scan = of.cpu, of.time, of.seq, of.scan

    @property
    def what(self) -> str:
        """Say whose page it is."""
        return f"a page of {self.of.what}"

    @property
    def undo(self) -> str:
        """The call that gives its area back."""
        return self.of.undo
