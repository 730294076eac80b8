"""Device memory in the kernel's address space (``arch/x86/mm/ioremap.c``, ``kernel/iomem.c``).

A mapping covers whole pages, and its cookie keeps the offset in the page. What is done through a cookie is in
:mod:`kmock.mm.iomap`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm import memtype
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.iomap import IoMap
from kmock.mm.vm_area import VM_IOREMAP, VmArea
from kmock.mm.vmalloc import SIZEOF_VM_STRUCT
from kmock.sanitizers.describe import origin_stacks
from kmock.sanitizers.object import SCAN_NO_SCAN, FailedAllocation
from kmock.stack import capture

if TYPE_CHECKING:
    from kmock.hw.mmio import Model, Window
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation

PAGE_SIZE: Final = 4096
PHYS_BITS: Final = 46
"""Width of a physical address (boot_cpu_data.x86_phys_bits)."""

MEMREMAP_WB: Final = 1
MEMREMAP_WT: Final = 2
MEMREMAP_WC: Final = 4


@final
class IoArea(VmArea):
    """One mapping of device memory; ``size`` counts from the first page's start to the last byte asked for."""

    __slots__ = ("offset",)
    area = "mmio"
    offset: int
    """Of the cookie in its page."""

    @property
    def leak_kind(self) -> str:
        """Kind of report for never taking it away."""
        return "ioremap-leak"

    @property
    def what(self) -> str:
        """Say what is mapped, and by which call."""
        return f"a mapping of [mem {self.first:#010x}-{self.phys_addr + self.size - 1:#010x}] by {self.call}()"

    @property
    def undo(self) -> str:
        """The call that takes it away."""
        return "memunmap" if self.call == "memremap" else "iounmap"

    @property
    def first(self) -> int:
        """Physical address of the first byte asked for."""
        return self.phys_addr + self.offset


class Ioremap:
    """The mappings of one kernel."""

    __slots__ = ("io", "kernel", "types")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.types = memtype.MemTypes(kernel)
        self.io = kernel.mem.io = IoMap(kernel)

    def window(self, base: int, size: int, model: Model | None) -> Window:
        """``kernel.mmio()``: let a device answer at physical ``[base, base + size)``; ValueError where RAM or another is."""
        for start, end in self.kernel.ram.ranges:
            if base < end and start < base + size:
                raise ValueError(f"{base:#x}-{base + size - 1:#x}: {start:#x}-{end - 1:#x} is RAM")
        return self.kernel.bus.add(base, size, model)

    # -- mapping ----------------------------------------------------------------------------------

    def map(self, phys: int, size: int, wanted: int, call: str) -> Ptr:
        """``__ioremap_caller()``: map ``size`` bytes at ``phys`` with cache attribute ``wanted``; NULL where that can't be."""
        k = self.kernel
        if size <= 0 or phys < 0 or phys + size > 1 << 64:
            self._impossible(phys, size, call)
            return self._failed(call, size)
        if phys >> PHYS_BITS:
            k.warn(
                "ioremap-zero-or-wrap",
                "arch/x86/mm/ioremap.c:201",
                "__ioremap_caller.constprop.0",
                f"ioremap: invalid physical address {phys:x}",
            )
            return self._failed(call, size)
        if k.resources.intersects_ram(phys, phys + size):
            text = f"ioremap on RAM at {phys:#018x} - {phys + size - 1:#018x}"
            k.warn("ioremap-ram", "arch/x86/mm/ioremap.c:211", "__ioremap_caller.constprop.0", text)
            return self._failed(call, size)
        area = self._area(phys, size, call)
        if not self._typed(area, wanted):
            return self._failed(call, size)
        k.vmalloc.place(area)
        self._sleeps("include/linux/sched/mm.h:274")
        for i in range(area.usable // PAGE_SIZE):
            k.mmu.map((area.addr >> 12) + i, (area.phys_addr >> 12) + i)
        k.resources.mapped(phys, phys + size, area.alloc_stack)
        return make_ptr(area.addr + area.offset, area)

    def _area(self, phys: int, size: int, call: str) -> IoArea:
        k = self.kernel
        area = IoArea()
        area.flags = VM_IOREMAP
        area.pages = []
        area.prot = 0
        area.array = area.struct = NULL
        area.gone = False
        area.call = call
        area.offset = phys % PAGE_SIZE
        area.phys_addr = phys - area.offset
        area.size = area.offset + size
        area.span = -(-area.size // PAGE_SIZE) * PAGE_SIZE + area.guard
        area.phys = -1
        area.live = True
        area.written = None
        area.alloc_stack = capture(3)
        area.free_stack = None
        area.free_task = None
        area.task = k.current
        area.cpu = k.cpu
        area.time = k.clock.now
        area.scan = SCAN_NO_SCAN
        k.seq = area.seq = k.seq + 1
        return area

    def _typed(self, area: IoArea, wanted: int) -> bool:
        """Settle the cache attribute, and the kernel's books of the mapping; report where the attribute can't be had."""
        k = self.kernel
        start, end = area.phys_addr, area.phys_addr + area.usable
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_VM_STRUCT, GFP_KERNEL):
            return False
        err, got = self.types.reserve(start, end, wanted)
        if not err and memtype.allowed(wanted, got):
            return True
        if err:
            text = f"ioremap memtype_reserve failed {err}"
        else:
            self.types.free(start, end)
            text = f"ioremap error for {start:#x}-{end:#x}, requested {wanted:#x}, got {got:#x}"
        names = f"asked for {memtype.NAMES[wanted]}, mapped elsewhere as {memtype.NAMES[got]}"
        k.report("ioremap-attr-conflict", text, lines=[names])
        return False

    def _sleeps(self, at: str) -> None:
        k = self.kernel
        k.atomic_sleep.might_sleep(at, "ioremap-atomic")

    def _impossible(self, phys: int, size: int, call: str) -> None:
        k = self.kernel
        stack = k.capture()
        k.report(
            "ioremap-zero-or-wrap",
            f"BUG: kmock: ioremap-zero-or-wrap in {k.symbol(stack)}",
            lines=[f"{call}() of {size} bytes at {phys:#x}"],
            stacks={"access": stack},
        )

    def _failed(self, call: str, size: int) -> Ptr:
        return make_ptr(0, FailedAllocation(call, size, capture(3)))

    # -- unmapping --------------------------------------------------------------------------------

    def unmap(self, ptr: int, by: str = "iounmap") -> None:
        """``iounmap()``; NULL is nothing to do."""
        k = self.kernel
        address = int(ptr)
        if not address:
            return
        area = k.vmalloc.probe(address) if k.layout.is_vmalloc(address) else None
        if area is None or not area.live:
            self._bad(ptr, area, by)
            return
        self._sleeps("mm/vmalloc.c:2663")
        assert isinstance(area, VmArea)
        if not isinstance(area, IoArea):
            self._not_ours(address, area, by)
        elif area.undo != by:
            self._misused("memunmap-mismatch", address, area, by)
        elif address & -PAGE_SIZE != area.addr:
            self._misused("iounmap-interior", address, area, by)
        if isinstance(area, IoArea):
            self.types.free(area.phys_addr, area.phys_addr + area.usable)
        k.vmalloc.retire(area)
        k.vmalloc.unmap(area, pages=False)

    def _bad(self, ptr: int, area: Allocation | None, by: str) -> None:
        """Report the unmapping of what is not mapped; below the vmalloc area the kernel says nothing."""
        k = self.kernel
        address = int(ptr)
        origin: Allocation | None = getattr(ptr, "origin", None)
        about = area or (origin if not isinstance(origin, FailedAllocation) else None) or k.mem.owner(address)
        kind = "iounmap-double" if about is not None and about.area == "mmio" else "iounmap-bad"
        silent = address < k.layout.vmalloc_start
        hint = f"this memory is given back with {about.undo}()" if about is not None and about.area != "mmio" else ""
        k.report(
            kind,
            f"BUG: kmock: {kind} in {by}()" if silent else f"iounmap: bad address {address & -PAGE_SIZE:016x}",
            stacks={"access": k.capture(), **(origin_stacks(about) if about is not None else {})},
            object=k.kasan.info(about, address) if about is not None else None,
            key=(about if about is not None else address, "free"),
            hint=hint,
        )

    def _not_ours(self, address: int, area: VmArea, by: str) -> None:
        """Report the unmapping of an area of vmalloc(): its pages are lost."""
        k = self.kernel
        task = k.current
        where = f"[mem {0:#010x}-{area.usable - 1:#010x}]"
        headline = f"x86/PAT: {task.comm}:{task.pid} freeing invalid memtype {where}"
        k.kasan.report_free("iounmap-of-vmalloc", "", by, address, area, headline=headline)

    def _misused(self, kind: str, address: int, area: IoArea, by: str) -> None:
        hint = f"what {area.call}() mapped is unmapped with {area.undo}()" if kind == "memunmap-mismatch" else ""
        headline = f"BUG: kmock: {kind} in {by}()"
        self.kernel.kasan.report_free(kind, "", by, address, area, headline=headline, hint=hint)

    # -- memremap ---------------------------------------------------------------------------------

    def memremap(self, phys: int, size: int, flags: int) -> Ptr:
        """``memremap()``: RAM through the direct map, anything else as a mapping for plain loads and stores."""
        k = self.kernel
        if not flags:
            return make_ptr(0, FailedAllocation("memremap", size, capture(3)))
        ram = k.resources.intersects_ram(phys, phys + size)
        inside = any(start <= phys and phys + size <= end for start, end in k.ram.ranges)
        if ram and not inside:
            text = f"memremap attempted on mixed range {phys:#018x} size: {size:#x}"
            k.warn("ioremap-ram", "kernel/iomem.c:81", "memremap", text)
        elif ram and flags & MEMREMAP_WB and phys + size <= k.layout.direct_map_size:
            return Ptr(k.layout.page_offset + phys)
        elif ram:
            text = f"memremap attempted on ram {phys:#018x} size: {size:#x}"
            k.warn("ioremap-ram", "kernel/iomem.c:106", "memremap", text)
        else:
            wanted = memtype.WB if flags & MEMREMAP_WB else memtype.WT if flags & MEMREMAP_WT else memtype.WC
            return self.map(phys, size, wanted, "memremap")
        return self._failed("memremap", size)

    def memunmap(self, ptr: int) -> None:
        """``memunmap()``: what lies in the direct map stays there."""
        if self.kernel.layout.is_vmalloc(int(ptr)):
            self.unmap(ptr, "memunmap")
