"""How reports about memory put things: stacks, hex dumps, and what an address belongs to (``mm/kasan/report.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.report import ObjectInfo
from kmock.stack import Stack, user_frames

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation


def origin_stacks(about: Allocation) -> dict[str, Stack]:
    """The stacks of an allocation's life so far, by role."""
    stacks: dict[str, Stack] = {"allocated": about.alloc_stack}
    if about.free_stack is not None:
        stacks["freed"] = about.free_stack
    return stacks


def place(stack: Stack) -> str:
    """``file:line in function`` of the driver's innermost frame."""
    found = user_frames(stack)
    return f"{found[0].short} in {found[0].function}" if found else "?"


def stack_lines(stack: Stack) -> list[str]:
    """A stack as the kernel prints it, one frame a line."""
    return [f" {frame.symbol}" for frame in user_frames(stack)]


def hex_rows(address: int, data: bytes, width: int = 16) -> list[str]:
    """Rows of hexadecimal and ASCII, as print_hex_dump() writes them."""
    rows = []
    for i in range(0, len(data), width):
        part = data[i : i + width]
        text = "".join(chr(b) if 32 <= b < 127 else "." for b in part)
        rows.append(f"{address + i:016x}: {part.hex(' '):<{width * 3 - 1}}  {text}")
    return rows


def object_info(k: Kernel, about: Allocation, address: int) -> ObjectInfo:
    """Describe the object of a report."""
    dump: tuple[str, ...] = ()
    offset = int(address) - about.addr
    if about.phys >= 0 and about.live:
        # Four rows, around the place in question where the object is longer.
        start = max(min((offset & -16) - 32, (about.size - 49) & -16), 0)
        shown = k.ram.bytes[about.phys + start : about.phys + min(about.size, start + 64)].tobytes()
        dump = tuple(hex_rows(about.addr + start, shown))
    return ObjectInfo(about.addr, about.size, about.what, getattr(about, "cache_name", ""), offset, dump)


def describe(k: Kernel, address: int, about: Allocation | None) -> list[str]:
    """KASAN's lines about the object at ``address``."""
    if about is None:
        return []
    lines = _belongs(k, address, about)
    if about.area in {"stack", "global"}:
        return lines
    life = ["", f"Allocated by task {about.task.pid}:", *stack_lines(about.alloc_stack)]
    if about.free_stack is not None and about.free_task is not None:
        life += ["", f"Freed by task {about.free_task.pid}:", *stack_lines(about.free_stack)]
    return life + lines


def _belongs(k: Kernel, address: int, about: Allocation) -> list[str]:
    if about.area == "stack":
        return ["", f"The buggy address belongs to stack of task {about.task!r}"]
    if about.area == "global":
        return ["", "The buggy address belongs to the variable:", f" {about.what}+{address - about.addr:#x}"]
    if about.area == "vmalloc":
        if not about.live:
            return ["", "The buggy address belongs to a vmalloc virtual mapping"]
        region = f"a {about.size + 4095 >> 12}-page vmalloc region starting at {about.addr:016x}"
        return ["", f"The buggy address belongs to {region} allocated at {k.symbol(about.alloc_stack)}"]
    size = getattr(about, "object_size", 0)
    if not size:
        return ["", f"The buggy address belongs to {about.what} at {about.addr:016x}"]
    return [
        "",
        f"The buggy address belongs to the object at {about.addr:016x}",
        f" which belongs to the cache {getattr(about, 'cache_name', '?')} of size {size}",
        f"The buggy address is located {located(address - about.addr, size)}",
        f" {size}-byte region [{about.addr:016x}, {about.addr + size:016x})",
    ]


def located(offset: int, size: int) -> str:
    """Where an offset lies, in the words of 6.1."""
    if offset < 0:
        return f"{-offset} bytes to the left of"
    if offset >= size:
        return f"{offset - size} bytes to the right of"
    return f"{offset} bytes inside of"
