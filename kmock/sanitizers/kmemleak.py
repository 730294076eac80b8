"""Memory that nothing points to (``mm/kmemleak.c``): the scan, its rules, and the file in debugfs.

An object is white while fewer pointers to it are found than its ``min_count``. A scan reports a white
object once, if it is at least five seconds old and its contents have not changed since the scan before.
"""

from __future__ import annotations

import errno
import gc
import zlib
from typing import TYPE_CHECKING, Final

from kmock.lang.struct import as_ptr
from kmock.sanitizers.describe import hex_rows, object_info, stack_lines
from kmock.sanitizers.object import SCAN_HELD, SCAN_IGNORE, SCAN_NO_SCAN, SCAN_NOT_LEAK, Allocation
from kmock.sanitizers.reach import living, root_pointers, size_of, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kmock.fs.files import KernelFiles
    from kmock.hw.clock import Clock
    from kmock.machine import Kernel

MIN_AGE: Final = 5_000_000_000
"""Nanoseconds that an object must have lived (``MSECS_MIN_AGE``)."""
BLACK: Final = -1
"""``min_count`` of an object that is ignored."""
OBJECT_ALLOCATED: Final = 1
OBJECT_REPORTED: Final = 2
OBJECT_NO_SCAN: Final = 4
SLAB_NOLEAKTRACE: Final = 0x0080_0000
PATH: Final = "/sys/kernel/debug/kmemleak"
_FILE: Final = f"(see {PATH})"


class Tracked:
    """``struct kmemleak_object``: what is known of one allocation."""

    __slots__ = ("addr", "areas", "checksum", "count", "flags", "min_count", "of", "size")

    def __init__(self, of: Allocation, size: int, min_count: int = 1) -> None:
        self.of = of
        self.addr = of.addr
        self.size = size
        self.min_count = min_count
        self.count = 0
        self.flags = OBJECT_ALLOCATED
        self.checksum = 0
        self.areas: list[tuple[int, int]] = []
        """Ranges of addresses to look for pointers in; empty for the whole object."""

    @property
    def white(self) -> bool:
        """Whether too few pointers to it were found."""
        return self.min_count != BLACK and self.count < self.min_count

    @property
    def grey(self) -> bool:
        """Whether enough pointers were found, so that it leads to others."""
        return self.min_count != BLACK and self.count >= self.min_count


class Kmemleak:
    """The leak detector of one kernel."""

    __slots__ = ("_objects", "_registered", "enabled", "kernel", "last_scan", "stack_scan")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.enabled = kernel.config.kmemleak
        self.stack_scan = True
        self.last_scan = 0
        self._objects: dict[int, Tracked] = {}
        """By ordinal of the allocation; brought up to date by each scan."""
        self._registered: dict[int, Tracked] = {}
        """What kmemleak_alloc() was told of, by address."""

    # -- objects ----------------------------------------------------------------------------------

    def _update(self) -> list[Tracked]:
        """Note what was allocated and freed since; return every object, oldest first."""
        old = self._objects
        self._objects = now = {}
        for a in living(self.kernel):
            known = old.get(a.seq)
            if known is None and (a.area in {"page", "percpu", "mmio"} or _untraced(a)):
                continue
            now[a.seq] = known or Tracked(a, size_of(a))
        self._registered = {at: o for at, o in self._registered.items() if o.of.live}
        for o in now.values():
            self._paint(o)
        return [*now.values(), *self._registered.values()]

    @staticmethod
    def _paint(o: Tracked) -> None:
        scan = o.of.scan
        if scan & SCAN_IGNORE:
            o.min_count = BLACK
        elif scan & (SCAN_NOT_LEAK | SCAN_HELD):
            o.min_count = 0
        if scan & SCAN_NO_SCAN:
            o.flags |= OBJECT_NO_SCAN

    def lookup(self, address: int) -> Tracked | None:
        """Return the object that ``address`` lies in."""
        found = self._registered.get(int(address))
        if found is not None:
            return found
        objects = self._update()
        return next((o for o in objects if o.addr <= address < o.addr + o.size), None)

    def _annotated(self, address: int, complaint: str) -> Tracked | None:
        """Return the object that starts at ``address``; complain if there is none."""
        found = self.lookup(address)
        if found is None:
            self.kernel.log.write(f"kmemleak: {complaint} at {address:#010x}")
        elif found.addr != address:
            self.alias(address, found)
            return None
        return found

    def alias(self, address: int, found: Tracked | None) -> None:
        """Complain of an address inside an object, where its start was wanted."""
        self.kernel.log.write(f"kmemleak: Found object by alias at {address:#010x}")
        if found is not None:
            self._dump(found)

    # -- annotations ------------------------------------------------------------------------------

    def alloc(self, ptr: int, size: int, min_count: int) -> None:
        """``kmemleak_alloc()``: note memory that no allocator told of."""
        p = as_ptr(ptr)
        owner = p.origin or self.kernel.mem.owner(p)
        if owner is None or not self.enabled:
            return
        tracked = Tracked(owner, size, min_count)
        tracked.addr = int(p)
        self._registered[int(p)] = tracked

    def free(self, ptr: int) -> None:
        """``kmemleak_free()``: forget memory that kmemleak_alloc() told of."""
        self._registered.pop(int(ptr), None)

    def annotate(self, ptr: int, flag: int) -> None:
        """``kmemleak_not_leak()``, ``kmemleak_ignore()``, ``kmemleak_no_scan()``: set a bit of the object's ``scan``."""
        complaint = {
            SCAN_NOT_LEAK: "Trying to color unknown object as Grey",
            SCAN_IGNORE: "Trying to color unknown object as Black",
        }.get(flag, "Not scanning unknown object")
        found = self._annotated(int(as_ptr(ptr)), complaint)
        if found is not None:
            found.of.scan |= flag
            self._paint(found)

    def scan_area(self, ptr: int, size: int) -> None:
        """``kmemleak_scan_area()``: look for pointers in ``size`` bytes at ``ptr`` only."""
        address = int(as_ptr(ptr))
        found = self.lookup(address)
        if found is None:
            self.kernel.log.write(f"kmemleak: Adding scan area to unknown object at {address:#010x}")
        elif address + size > found.addr + found.size:
            self.kernel.log.write(f"kmemleak: Scan area larger than object {address:#010x}")
            self._dump(found)
        else:
            found.areas.append((address, address + size))

    # -- the scan ---------------------------------------------------------------------------------

    def scan(self) -> None:
        """``kmemleak_scan()``: find what is white, and report what is so for the first time."""
        k = self.kernel
        # What only a cycle of dead Python objects holds, such as an unloaded module's functions, is no reference.
        gc.collect()
        objects = self._update()
        self.last_scan = k.clock.now
        for o in objects:
            o.count = 0
        search = _Search(objects)
        grey = [o for o in objects if o.grey]
        grey += search.found(root_pointers(k, [o.of for o in objects]), None)
        self._follow(search, grey)
        changed = [o for o in objects if o.white and self._changed(o)]
        for o in changed:
            o.count = o.min_count
        self._follow(search, changed)
        new = [o for o in objects if self._is_leak(o) and not o.flags & OBJECT_REPORTED]
        if new:
            k.log.write(f"kmemleak: {len(new)} new suspected memory leaks {_FILE}")
        for o in new:
            o.flags |= OBJECT_REPORTED
            self._report(o)

    def _follow(self, search: _Search, grey: list[Tracked]) -> None:
        """Look into every grey object for pointers to others, which may become grey by that."""
        while grey:
            o = grey.pop()
            if o.flags & OBJECT_NO_SCAN:
                continue
            for start, end in o.areas or [(o.addr, o.addr + o.size)]:
                grey += search.found(words(self.kernel, start, end), o)

    def _changed(self, o: Tracked) -> bool:
        """Note an object's checksum; return whether it is another than at the scan before."""
        old = o.checksum
        o.checksum = checksum(self._content(o, o.size))
        return o.checksum != old

    def _content(self, o: Tracked, n: int) -> bytes:
        k = self.kernel
        out = b""
        while len(out) < n and (phys := k.mem.translate(o.addr + len(out))) is not None:
            step = min(4096 - (phys & 4095), n - len(out))
            out += k.ram.bytes[phys : phys + step].tobytes()
        return out

    def _is_leak(self, o: Tracked) -> bool:
        """``unreferenced_object()``: white, and old enough at the last scan."""
        return o.white and o.of.time + MIN_AGE <= self.last_scan

    # -- text -------------------------------------------------------------------------------------

    def _lines(self, o: Tracked) -> list[str]:
        return leak_lines(self.kernel.clock, o.of, o.addr, self._content(o, min(o.size, 32)))

    def _report(self, o: Tracked) -> None:
        k = self.kernel
        k.census.told(o.of)
        k.report(
            "leak-unreachable",
            f"unreferenced object {o.addr:#010x} (size {o.size}):",
            lines=self._lines(o),
            stacks={"allocated": o.of.alloc_stack},
            object=object_info(k, o.of, o.addr),
            attributes={"size": o.of.size, "count": 1, "total": o.of.size},
        )

    def read(self) -> str:
        """Return the file's text: every object that was reported and is still unreferenced."""
        out = []
        for o in [*self._objects.values(), *self._registered.values()]:
            if (o.of.live or o.of.reserved) and o.flags & OBJECT_REPORTED and self._is_leak(o):
                out += [f"unreferenced object {o.addr:#010x} (size {o.size}):", *self._lines(o)]
        return "".join(line + "\n" for line in out)

    def _dump(self, o: Tracked) -> None:
        """``dump_object_info()``."""
        about = [
            f"Object {o.addr:#010x} (size {o.size}):",
            f'  comm "{o.of.task.comm}", pid {o.of.task.pid}, jiffies {jiffies_at(self.kernel.clock, o.of.time)}',
            f"  min_count = {o.min_count}",
            f"  count = {o.count}",
            f"  flags = {o.flags:#x}",
            f"  checksum = {o.checksum}",
            "  backtrace:",
        ]
        self.kernel.log.write_all(f"kmemleak: {line}" for line in about)
        self.kernel.log.write_all(f"    {line}" for line in stack_lines(o.of.alloc_stack))

    # -- the file ---------------------------------------------------------------------------------

    def write(self, text: str) -> int:
        """``kmemleak_write()``: do what was written to the file; return a negative errno if that can't be."""
        word, _, value = text.strip().partition("=")
        if word == "clear" and not value:
            self.clear()
            return 0
        if not self.enabled:
            return -errno.EPERM
        commands: dict[str, Callable[[], object]] = {
            "off": self.disable,
            "scan": self.scan,
            "scan=on": lambda: None,
            "scan=off": lambda: None,
            "stack=on": lambda: None,
            "stack=off": lambda: None,
        }
        if text.strip() in commands:
            commands[text.strip()]()
            return 0
        if word == "scan" and value.isdigit():
            return 0
        return self._dump_at(value) if word == "dump" else -errno.EINVAL

    def _dump_at(self, value: str) -> int:
        try:
            address = int(value, 0)
        except ValueError:
            return -errno.EINVAL
        found = self.lookup(address)
        if found is None:
            self.kernel.log.write(f"kmemleak: Unknown object at {address:#010x}")
            return -errno.EINVAL
        self._dump(found)
        return 0

    def clear(self) -> None:
        """Paint what is reported grey: it is never reported again."""
        for o in [*self._objects.values(), *self._registered.values()]:
            if o.flags & OBJECT_REPORTED and self._is_leak(o):
                o.of.scan |= SCAN_NOT_LEAK
                self._paint(o)

    def disable(self) -> None:
        """Switch the detector off, for good."""
        self.enabled = False
        self.kernel.log.write("kmemleak: Kernel memory leak detector disabled")


class _Search:
    """Finds the object that an address lies in, and counts what was found."""

    __slots__ = ("_by_page",)

    def __init__(self, objects: Iterable[Tracked]) -> None:
        self._by_page: dict[int, list[Tracked]] = {}
        for o in objects:
            for page in range(o.addr >> 12, (o.addr + o.size - 1 >> 12) + 1):
                self._by_page.setdefault(page, []).append(o)

    def found(self, values: Iterable[int], scanned: Tracked | None) -> list[Tracked]:
        """Count each value as a pointer; return the objects that became grey by that (``scan_block()``)."""
        turned = []
        for value in values:
            for o in self._by_page.get(value >> 12, ()):
                if o.addr <= value < o.addr + o.size and o is not scanned and o.white:
                    o.count += 1
                    if o.grey:
                        turned.append(o)
        return turned


def _untraced(a: Allocation) -> bool:
    """Whether it is a mapping of other memory, or its cache was created with SLAB_NOLEAKTRACE."""
    return getattr(a, "untraced", False) or bool(getattr(getattr(a, "cache", None), "flags", 0) & SLAB_NOLEAKTRACE)


def checksum(data: bytes) -> int:
    """``crc32(0, data)`` of the kernel, which neither inverts the seed nor the result: 0 for zeroed memory."""
    return zlib.crc32(data, 0xFFFF_FFFF) ^ 0xFFFF_FFFF


def jiffies_at(clock: Clock, time: int) -> int:
    """Return what jiffies read at ``time``."""
    return clock.jiffies - (clock.now * clock.hz // 1_000_000_000) + time * clock.hz // 1_000_000_000


def leak_lines(clock: Clock, a: Allocation, address: int, shown: bytes) -> list[str]:
    """What is printed below ``unreferenced object`` (``print_unreferenced()``)."""
    rows = [row.partition(": ")[2] for row in hex_rows(address, shown)]
    return [
        f'  comm "{a.task.comm}", pid {a.task.pid}, jiffies {jiffies_at(clock, a.time)}',
        f"  hex dump (first {len(shown)} bytes):",
        *(f"    {row}" for row in rows),
        "  backtrace:",
        *(f"    [<(____ptrval____)>]{line}" for line in stack_lines(a.alloc_stack)[:16]),
    ]


def attach(files: KernelFiles) -> None:
    """Offer the file of debugfs."""
    detector = files.kernel.kmemleak
    files.add(PATH, read=detector.read, write=detector.write)
