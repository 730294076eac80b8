"""What a driver maps that is no buffer for a device: stacks, text, freed memory, more than there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.hw.mmu import PTE_RW
from kmock.kernel.image import Section
from kmock.kernel.stack import TaskStack
from kmock.mm.gfp import __GFP_DMA as GFP_DMA
from kmock.mm.page import PageBlock
from kmock.sanitizers.describe import object_info, origin_stacks
from kmock.sanitizers.object import Allocation, FailedAllocation

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.report import Report

KERNEL_IMAGE_SIZE: Final = 1 << 30


def valid(k: Kernel, address: int) -> bool:
    """``virt_addr_valid()``: whether the address lies in the direct map, over memory, or in the kernel's image."""
    phys = address - k.layout.page_offset
    if 0 <= phys < k.layout.direct_map_size:
        return k.ram.exists(phys)
    return 0 <= address - k.layout.image < KERNEL_IMAGE_SIZE


def physical(k: Kernel, address: int) -> int:
    """``page_to_phys(virt_to_page(address))`` and the offset in the page, of any address, as the arithmetic has it."""
    if 0 <= address - k.layout.image < KERNEL_IMAGE_SIZE and (phys := k.mem.translate(address)) is not None:
        return phys
    return address - k.layout.page_offset & (1 << 64) - 1


class Vet:
    """Looks at memory that is being mapped."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def rejected(self, dev: Any, p: int, size: int) -> None:
        """``dma_map_single()`` of an address that may be mapped anywhere: it refuses, and warns the first time."""
        k = self.kernel
        about = self._origin(p) or k.mem.owner(p)
        kind = "dma-map-stack" if about is not None and about.area == "stack" else "dma-map-vmalloc"
        text = f"{k.dma.title(dev)}: rejecting DMA map of vmalloc memory"
        key = (about if about is not None else int(p) >> 12, "rejected")
        if "dma-vmalloc" in k.once:
            self._own(kind, int(p), about, [text], key)
            return
        k.once.add("dma-vmalloc")
        at = "include/linux/dma-mapping.h:332"
        report = k.warn(kind, at, "dma_map_single_attrs.constprop.0", text, stacks=self._stacks(about))
        if report is not None:
            k.reports.also(report, key)

    def not_linear(self, dev: Any, p: int, size: int) -> None:
        """``debug_dma_map_single()``: the address has no page."""
        if self.kernel.dma.debug.disabled:
            return
        text = f"device driver maps memory from invalid area [addr={int(p):016x}] [len={size}]"
        lines = []
        if isinstance(origin := getattr(p, "origin", None), FailedAllocation):
            lines.append(f"it is {origin.what}")
        self.kernel.dma.debug.complain("dma-map-not-linear", 1199, "debug_dma_map_single", dev, text, lines=lines)

    def buffer(self, dev: Any, phys: int, size: int, p: int | None = None) -> tuple[Allocation | None, bool]:
        """Look at ``size`` bytes at ``phys``, that the driver maps by pointer ``p`` or by their page.

        Returns the allocation they lie in, and whether something was reported.
        """
        k = self.kernel
        if not size:
            self._own("dma-map-zero-length", phys, None, ["a mapping of 0 bytes"], None)
        page = k.memmap.pages.get(phys >> 12)
        address = k.layout.page_offset + phys
        owner = page.owner if page is not None else None
        if isinstance(owner, TaskStack):
            self._stack(dev, owner)
            return owner.probe(address), True
        if isinstance(owner, Section) and not owner.flags & PTE_RW:
            about = self._origin(p) if p is not None else None
            report = self._own("dma-map-text", address, about, [f"{size} bytes of the kernel's image are mapped"], None)
            return about, report is not None
        about = self._origin(p) if p is not None else None
        if about is None and owner is not None:
            about = owner.probe(address)
        return about, about is not None and self._allocation(about, address, size, by_page=p is None)

    def _allocation(self, about: Allocation, address: int, size: int, *, by_page: bool) -> bool:
        if about.area not in ("slab", "page"):
            return False
        first = address - about.addr
        if not about.live:
            lines = [f"{about.what} was freed before it is mapped"]
            return self._own("dma-map-freed", address, about, lines, (about, "mapped")) is not None
        if (first < 0 or first + size > about.usable) and not (by_page and self._goes_on(about, address + size)):
            lines = [f"bytes {first} to {first + size - 1} of {about.what}, which has {about.usable}, are mapped"]
            return self._own("dma-map-slab-overrun", address, about, lines, (about, "overrun")) is not None
        if self.kernel.config.lint and self._asked_for_low_memory(about):
            lines = ["memory is taken from ZONE_DMA, so that a device with few address bits can reach it"]
            self._own("gfp-dma-for-streaming", address, about, lines, (about, "zone"))
        return False

    def _goes_on(self, about: Allocation, end: int) -> bool:
        """Whether pages up to ``end`` are somebody's: a list may make one run of pages that were allocated one by one."""
        at = about.addr + about.usable
        while about.area == "page" and at < end:
            following = self.kernel.mem.owner(at)
            if following is None or not following.live or following.area != "page":
                return False
            at = following.addr + following.usable
        return about.area == "page"

    def device_writes(self, phys: int, size: int) -> None:
        """``kmsan_handle_dma()``: the device will write these bytes, whoever they belong to."""
        k = self.kernel
        end = phys + size
        while phys < end:
            page = k.memmap.pages.get(phys >> 12)
            address = k.layout.page_offset + phys
            about = page.owner.probe(address) if page is not None and page.owner is not None else None
            following = (phys | 0xFFF) + 1
            if about is not None and about.phys >= 0:
                first = max(phys, about.phys)
                if first < end:
                    about.mark_written(first - about.phys, end - first)
                following = max(about.phys + about.usable, phys + 1)
            elif about is not None:
                about.written = None
            phys = following

    @staticmethod
    def _asked_for_low_memory(about: Allocation) -> bool:
        if isinstance(about, PageBlock):
            return bool(about.gfp & GFP_DMA)
        return str(getattr(about, "cache_name", "")).startswith("dma-kmalloc")

    def _stack(self, dev: Any, stack: TaskStack) -> None:
        k = self.kernel
        debug = k.dma.debug
        text = f"device driver maps memory from stack [probable addr={stack.start:016x}]"
        if stack.task is k.current and not debug.disabled:
            debug.complain("dma-map-stack", 1078, "debug_dma_map_page", dev, text)
        else:
            self._own("dma-map-stack", stack.start, None, [f"it is the stack of {stack.task!r}"], (stack, "mapped"))

    # -- saying it --------------------------------------------------------------------------------

    @staticmethod
    def _origin(p: int) -> Allocation | None:
        found = getattr(p, "origin", None)
        return found if isinstance(found, Allocation) and not isinstance(found, FailedAllocation) else None

    def _stacks(self, about: Allocation | None) -> dict[str, Any]:
        return {"access": self.kernel.capture(), **(origin_stacks(about) if about is not None else {})}

    def _own(self, kind: str, address: int, about: Allocation | None, lines: list[str], key: object) -> Report | None:
        k = self.kernel
        if not k.config.dma_debug:
            return None
        stacks = self._stacks(about)
        return k.report(
            kind,
            f"BUG: kmock: {kind} in {k.symbol(stacks['access'])}",
            lines=lines,
            stacks=stacks,
            object=object_info(k, about, address) if about is not None else None,
            key=key,
        )
