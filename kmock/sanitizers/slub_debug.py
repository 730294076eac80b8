"""Red zones and poison (``slub_debug=FZPU``): patterns around and in objects, checked when objects change hands.

The patterns are real bytes in RAM, so damage shows whoever did it. A bad store through a pointer is found where
it happens, by :mod:`kmock.sanitizers.kasan`; the check here comes later and adds to that finding what the kernel
prints. Text and layout are those of ``check_object()`` and ``print_trailer()`` in ``mm/slub.c``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from kmock.sanitizers.describe import hex_rows, origin_stacks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.mm.slab import Slab, SlabObject
    from kmock.mm.slab_layout import Layout
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

# include/linux/poison.h
RED_INACTIVE: Final = 0xBB
RED_ACTIVE: Final = 0xCC
POISON_INUSE: Final = 0x5A
POISON_FREE: Final = 0x6B
POISON_END: Final = 0xA5

LEFT: Final = "Left Redzone"
RIGHT: Final = "Right Redzone"
ALIGNMENT: Final = "Alignment padding"
POISON: Final = "Poison"
END: Final = "End Poison"
PADDING: Final = "Object padding"

KINDS: Final = {
    LEFT: "slab-out-of-bounds-left",
    RIGHT: "slab-out-of-bounds-right",
    ALIGNMENT: "slab-out-of-bounds-right",
    POISON: "slab-use-after-free-write",
    END: "slab-use-after-free-write",
    PADDING: "slab-out-of-bounds-right",
}
_HARMLESS: Final = frozenset((ALIGNMENT, PADDING))
"""Damage that is mended without losing the object."""


class Region(NamedTuple):
    """Bytes that must hold a pattern; ``start`` counts from the object."""

    name: str
    start: int
    length: int
    value: int


def regions(layout: Layout, *, active: bool) -> Iterator[Region]:
    """The patterns around a living (``active``) or free object, in the order in which they are checked."""
    red = RED_ACTIVE if active else RED_INACTIVE
    size = layout.object_size
    if layout.red_zone:
        yield Region(LEFT, -layout.red_left_pad, layout.red_left_pad, red)
        yield Region(RIGHT, size, layout.inuse - size, red)
    elif layout.poison and size < layout.inuse:
        yield Region(ALIGNMENT, size, layout.inuse - size, POISON_INUSE)
    if layout.object_poison and not active:
        yield Region(POISON, 0, size - 1, POISON_FREE)
        yield Region(END, size - 1, 1, POISON_END)
    end = layout.size - layout.red_left_pad
    if layout.poison and layout.pad_offset < end:
        yield Region(PADDING, layout.pad_offset, end - layout.pad_offset, POISON_INUSE)


class SlubDebug:
    """The checks of one machine's debugged caches."""

    __slots__ = ("kernel", "ram")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.ram = kernel.ram.bytes

    # -- filling ----------------------------------------------------------------------------------

    def new_slab(self, slab: Slab) -> None:
        """Fill a new slab with the patterns of free objects."""
        layout = slab.cache.layout
        if layout.poison:
            start = slab.phys - layout.red_left_pad
            n = 4096 << slab.order
            self.ram[start : start + n] = bytes((POISON_INUSE,)) * n
        for index in range(slab.objects):
            self.fill(slab, index, active=False)

    def fill(self, slab: Slab, index: int, *, active: bool) -> None:
        """Write the patterns of a living or free object (``init_object()``)."""
        layout = slab.cache.layout
        at = slab.phys + index * slab.stride
        if layout.object_poison:
            n = layout.object_size
            self.ram[at : at + n] = bytes((POISON_FREE,)) * (n - 1) + bytes((POISON_END,))
        for region in regions(layout, active=active):
            if region.name in {LEFT, RIGHT}:
                start = at + region.start
                self.ram[start : start + region.length] = bytes((region.value,)) * region.length

    def activate(self, o: SlabObject) -> None:
        """Give a fresh object the patterns of a living one."""
        self.fill(o.slab, o.index, active=True)
        if o.slab.cache.layout.traced:
            self.trace(o, "alloc")

    def trace(self, o: SlabObject, what: str) -> None:
        """Log an operation on a traced cache (option T)."""
        slab = o.slab
        self.kernel.log.write(
            f"TRACE {slab.cache.name} {what} 0x{o.addr:016x} inuse={slab.inuse} fp=0x{_first_free(slab):016x}"
        )

    # -- checking ---------------------------------------------------------------------------------

    def may_alloc(self, slab: Slab) -> bool:
        """Check the place that ``slab`` hands out next; retire the slab if it was damaged."""
        layout = slab.cache.layout
        if not layout.checked:
            return True
        self.check_tail(slab)
        index = slab.free[-1]
        if self.check(slab, index, active=False) and self.check_link(slab, index):
            return True
        self.kernel.log.write(f"FIX {slab.cache.name}: Marking all objects used")
        slab.free = []
        slab.disabled = True
        return False

    def may_free(self, o: SlabObject) -> bool:
        """Check a living object that is being freed; fill it with the patterns of a free one if it is whole."""
        slab = o.slab
        layout = slab.cache.layout
        if layout.checked:
            self.check_tail(slab)
            if not self.check(slab, o.index, active=True):
                self.kernel.log.write(f"FIX {slab.cache.name}: Object at 0x{o.addr:016x} not freed")
                return False
        if layout.traced:
            self.trace(o, "free")
        self.fill(slab, o.index, active=False)
        return True

    def check(self, slab: Slab, index: int, *, active: bool) -> bool:
        """Check the patterns of one place and mend them; return whether the object is still fit for use."""
        at = slab.phys + index * slab.stride
        for region in regions(slab.cache.layout, active=active):
            start = at + region.start
            data = self.ram[start : start + region.length].tobytes()
            pattern = bytes((region.value,))
            if data == pattern * region.length:
                continue
            first = region.length - len(data.lstrip(pattern))
            end = len(data.rstrip(pattern))
            self._overwritten(slab, index, region, first, end, data[first], active=active)
            self.ram[start + first : start + end] = pattern * (end - first)
            if region.name not in _HARMLESS:
                return False
        return True

    def check_tail(self, slab: Slab) -> None:
        """Check what is left of the slab behind its last object (``slab_pad_check()``)."""
        layout = slab.cache.layout
        used = slab.objects * slab.stride
        n = (4096 << slab.order) - used
        if not layout.poison or not n:
            return
        start = slab.phys - layout.red_left_pad + used
        data = self.ram[start : start + n].tobytes()
        pattern = bytes((POISON_INUSE,))
        if data == pattern * n:
            return
        first = used + n - len(data.lstrip(pattern))
        end = used + len(data.rstrip(pattern))
        where = f"0x{slab.base + first:016x}-0x{slab.base + end - 1:016x}"
        lines = [
            slab_line(slab),
            *(f"Padding {row}" for row in hex_rows(slab.base + used, data)),
            f"FIX {slab.cache.name}: Restoring slab padding {where}=0x{POISON_INUSE:x}",
        ]
        text = f"Padding overwritten. {where} @offset={first}"
        self.report("cache-metadata-scribble", slab, text, lines, {}, key=(slab, "tail"))
        self.ram[start : start + n] = pattern * n

    def check_link(self, slab: Slab, index: int) -> bool:
        """Check the free pointer of a free place."""
        value = self._link(slab, index)
        if not value or slab.index_of(value) >= 0:
            return True
        stacks = _stacks(slab.records[index])
        lines = self.trailer(slab, index)
        self.report("cache-metadata-scribble", slab, "Freepointer corrupt", lines, stacks, key=(slab, index, "link"))
        return False

    def _link(self, slab: Slab, index: int) -> int:
        """The free pointer of a place, as it stands in RAM."""
        at = slab.phys + index * slab.stride + slab.cache.layout.offset
        return int.from_bytes(self.ram[at : at + self.kernel.layout.bits // 8], "little")

    # -- reports ----------------------------------------------------------------------------------

    def _overwritten(
        self, slab: Slab, index: int, region: Region, first: int, end: int, got: int, *, active: bool
    ) -> None:
        about = slab.records[index]
        start = slab.address(index) + region.start
        where = f"0x{start + first:016x}-0x{start + end - 1:016x}"
        lines = [
            f"{where} @offset={start + first - slab.base}. First byte 0x{got:x} instead of 0x{region.value:x}",
            *self.trailer(slab, index),
            f"FIX {slab.cache.name}: Restoring {region.name} {where}=0x{region.value:x}",
        ]
        key = (about if about is not None else (slab, index), "slab", active)
        self.report(KINDS[region.name], slab, f"{region.name} overwritten", lines, _stacks(about), key=key)

    def report(
        self, kind: str, slab: Slab, text: str, lines: list[str], stacks: dict[str, Stack], *, key: object
    ) -> None:
        """Report in ``slab_bug()``'s words; where it is no news, the log still gets what the kernel prints."""
        k = self.kernel
        found = k.report(
            kind,
            self.headline_of(slab, text),
            lines=lines,
            stacks={"access": k.capture(), **stacks},
            key=key,
            taint="B",
            attributes={"cache": slab.cache.name},
        )
        if found is None:
            k.log.write_all(lines)

    def headline_of(self, slab: Slab, text: str) -> str:
        """``BUG kmalloc-64 (Tainted: ...): text``."""
        return f"BUG {slab.cache.name} ({self.kernel.taint_text}): {text}"

    def headline(self, about: SlabObject, address: int) -> str:
        """What will be printed of a store at ``address``, when the object changes hands; empty if nothing."""
        at = address - about.addr
        for region in regions(about.slab.cache.layout, active=about.live):
            if region.start <= at < region.start + region.length:
                return self.headline_of(about.slab, f"{region.name} overwritten")
        return ""

    def trailer(self, slab: Slab, index: int) -> list[str]:
        """The lines about an object (``print_trailer()``)."""
        layout = slab.cache.layout
        address = slab.address(index)
        at = slab.phys + index * slab.stride
        link = self._link(slab, index)
        lines = [
            *self.tracking(slab.records[index]),
            slab_line(slab),
            f"Object 0x{address:016x} @offset={address - slab.base} fp=0x{link:016x}",
            "",
        ]
        if layout.red_zone:
            lines += self._section("Redzone  ", address, at, -layout.red_left_pad, 0)
        elif at - slab.phys >= 16:
            lines += self._section("Bytes b4 ", address, at, -16, 0)
        lines += self._section("Object   ", address, at, 0, min(layout.object_size, 4096))
        if layout.red_zone:
            lines += self._section("Redzone  ", address, at, layout.object_size, layout.inuse)
        lines += self._section("Padding  ", address, at, layout.pad_offset, layout.size - layout.red_left_pad)
        return lines

    def _section(self, title: str, address: int, at: int, start: int, end: int) -> list[str]:
        data = self.ram[at + start : at + end].tobytes() if end > start else b""
        return [title + row for row in hex_rows(address + start, data)]

    def tracking(self, about: Allocation | None) -> list[str]:
        """Who allocated and freed an object (``print_tracking()``)."""
        if about is None:
            return []
        k = self.kernel
        age = (k.clock.now - about.time) * k.clock.hz // 1_000_000_000
        lines = [f"Allocated in {k.symbol(about.alloc_stack)} age={age} cpu={about.cpu.id} pid={about.task.pid}"]
        if about.free_stack is not None and about.free_task is not None:
            lines.append(f"Freed in {k.symbol(about.free_stack)} pid={about.free_task.pid}")
        return lines


def slab_line(slab: Slab) -> str:
    """The line about a slab (``print_slab_info()``)."""
    words = ["slab", *(["head"] if slab.order else []), f"node={slab.node}", f"zone={_zone(slab)}"]
    flags = f"0x{slab.page.flags:x}({'|'.join(words)})"
    return (
        f"Slab 0x{slab.page.address:016x} objects={slab.objects} used={slab.inuse} fp=0x{_first_free(slab):016x} "
        f"flags= {flags}"
    )


def _zone(slab: Slab) -> int:
    zone = slab.page.zone
    return zone.idx if zone is not None else 0


def _first_free(slab: Slab) -> int:
    return slab.address(slab.free[-1]) if slab.free else 0


def _stacks(about: Allocation | None) -> dict[str, Stack]:
    return origin_stacks(about) if about is not None else {}
