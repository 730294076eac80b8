"""The kernel's image (``arch/x86/kernel/vmlinux.lds.S``): text, read-only data, and global variables.

Global variables of drivers are Python's; what needs an address, such as a C array that a test hands to
``kfree()`` by mistake, is put here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.hw.mmu import KERNEL_RW, PTE_RW
from kmock.lang.ptr import Ptr, make_ptr
from kmock.sanitizers.object import Allocation
from kmock.stack import capture

if TYPE_CHECKING:
    from kmock.machine import Kernel

_PAGE: Final = 4096
_SECTION: Final = 1 << 20
REDZONE: Final = 32


class Global(Allocation):
    """A variable or function of the kernel's image."""

    __slots__ = ("name", "text")
    area = "global"
    name: str
    text: bool
    """Whether it is code."""

    @property
    def what(self) -> str:
        """Its name."""
        return self.name

    @property
    def undo(self) -> str:
        """It lasts."""
        return "nothing"

    @property
    def copy_bound(self) -> tuple[str, int] | None:
        """Code is nothing to copy."""
        return ("kernel text", 0) if self.text else None


class Section:
    """A part of the image whose pages share their protection, and the owner of those pages."""

    def __init__(self, kernel: Kernel, start: int, flags: int) -> None:
        self.kernel = kernel
        self.start = start
        self.end = start + _SECTION
        self.flags = flags
        self.mapped = start
        self.next = start + REDZONE
        self.variables: list[Global] = []

    def live(self) -> list[Allocation]:
        """No allocation: the image is never freed."""
        return []

    def probe(self, address: int) -> Allocation | None:
        """Return the variable at ``address``; the redzone behind it counts as its own."""
        return next((g for g in reversed(self.variables) if g.addr <= address < g.end + REDZONE), None)

    def place(self, data: bytes, name: str) -> Ptr:
        """Put a variable with those contents into the section."""
        k = self.kernel
        g = Global()
        g.addr = self.next
        g.size = len(data)
        g.phys = -1
        g.live = True
        g.written = None
        g.name = name
        g.text = self.start == k.layout.image
        g.alloc_stack = capture(3)
        g.free_stack = None
        g.task = k.current
        g.free_task = None
        g.cpu = k.cpu
        g.time = 0
        g.seq = 0
        g.scan = 0
        self.next = (g.end + REDZONE + 63) & -64
        self._map()
        self.variables.append(g)
        k.mem.poke(g.addr, data)
        return make_ptr(g.addr, g)

    def _map(self) -> None:
        k = self.kernel
        while self.mapped < self.next:
            page = k.page_alloc.alloc_pages(0xCC0, 0, call="image", owner=self)
            assert page is not None
            k.mmu.map(self.mapped >> 12, page.pfn, self.flags)
            self.mapped += _PAGE


class Image:
    """The sections of one kernel's image; each comes into being with its first symbol."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._sections: dict[str, Section] = {}

    def data(self, n: int, name: str = "data") -> Ptr:
        """Return a global variable of ``n`` zero bytes (C's ``static char name[n];``)."""
        return self._section("data", 2, KERNEL_RW).place(bytes(n), name)

    def rodata(self, contents: bytes, name: str = "rodata") -> Ptr:
        """Return a constant (C's ``static const char name[] = ...;``); writing to it faults."""
        return self._section("rodata", 1, KERNEL_RW & ~PTE_RW).place(contents, name)

    def text(self, name: str, n: int = 64) -> Ptr:
        """Return the address of a function's code; writing to it faults."""
        return self._section("text", 0, KERNEL_RW & ~PTE_RW).place(b"\xcc" * n, name)

    def _section(self, name: str, number: int, flags: int) -> Section:
        found = self._sections.get(name)
        if found is None:
            start = self.kernel.layout.image + number * _SECTION
            found = self._sections[name] = Section(self.kernel, start, flags)
            self.kernel.mem.regions.append(found)
        return found
