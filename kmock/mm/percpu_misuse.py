"""What is wrong with giving something back to free_percpu(), or with updating a counter: the reports.

free_percpu() itself checks nothing. What it does not know as per-CPU memory it looks up in a chunk that isn't
there; everything else it believes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_MASK, SOFTIRQ_OFFSET
from kmock.mm.percpu import Area, Copy
from kmock.sanitizers.describe import describe, object_info, origin_stacks

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

CHUNK_LOCK: Final = 0x20
"""Offset in ``struct pcpu_chunk`` of what free_percpu() reads first."""


def free(k: Kernel, ptr: int) -> None:
    """``free_percpu()``: the cookie of a living allocation, or NULL; anything else is reported."""
    if not ptr:
        return
    origin: Allocation | None = getattr(ptr, "origin", None)
    area = origin if isinstance(origin, Area) else k.percpu.area_at(ptr) if origin is None else None
    if area is None or not area.chunk.holds_dynamic(area.offset):
        _no_chunk(k, ptr, area or origin or k.mem.owner(ptr))
    elif not area.live:
        _report(k, "percpu-double-free", ptr, area)
    elif area.addr != ptr:
        _report(k, "percpu-free-bad", ptr, area)
    else:
        k.percpu.free(area)


def _report(k: Kernel, kind: str, ptr: int, area: Area) -> None:
    k.census.told(area)
    k.report(
        kind,
        f"BUG: kmock: {kind} in free_percpu()",
        lines=[f"Free of per-CPU addr {ptr:016x} by task {k.current!r}", *describe(k, ptr, area)],
        stacks={"access": k.capture(), **origin_stacks(area)},
        object=object_info(k, area, ptr),
        key=(area, "free"),
    )


def _no_chunk(k: Kernel, ptr: int, about: Allocation | None) -> NoReturn:
    """``pcpu_chunk_addr_search()`` finds no chunk, and free_percpu() reads its members all the same."""
    mine = about is None or isinstance(about, (Area, Copy))
    if about is not None:
        k.census.told(about)
    said = [
        f"BUG: kernel NULL pointer dereference, address: {CHUNK_LOCK:016x}",
        "#PF: supervisor read access in kernel mode",
        "#PF: error_code(0x0000) - not-present page",
        f"Oops: 0000 [#{k.oopses + 1}] {k.build}",
        "RIP: 0010:free_percpu+0x0/0x0",
    ]
    if k.kasan.on:
        access = f"Read of size 8 at addr {CHUNK_LOCK:016x} by task {k.current!r}"
        said = ["BUG: KASAN: null-ptr-deref in free_percpu+0x0/0x0", access, *said]
    hint = f"this memory is given back with {about.undo}(), not free_percpu()" if about is not None and not mine else ""
    k.die(
        "percpu-free-bad" if mine else "kfree-of-percpu",
        said[0],
        lines=[*said[1:], *describe(k, ptr, about)],
        stacks={"access": k.capture(), **(origin_stacks(about) if about is not None else {})},
        object=object_info(k, about, ptr) if about is not None else None,
        hint=hint,
    )


def note_update(k: Kernel, copy: Copy, address: int, *, safe: bool) -> None:
    """A counter is read, changed and written back; ``safe`` if in one instruction, which no interrupt can split.

    An update in an interrupt and one elsewhere that an interrupt can split lose one of the two, some day.
    """
    count = k.cpu.preempt_count
    seen = copy.of.users.setdefault(address - copy.addr, {})
    if count & (HARDIRQ_MASK | NMI_MASK):
        mine = "in hardirq"
    else:
        mine = "in softirq" if count & SOFTIRQ_OFFSET else ""
        if not safe and not k.cpu.irqs_off:
            seen.setdefault("open to hardirq", k.capture())
            if not count & SOFTIRQ_MASK:
                seen.setdefault("open to softirq", k.capture())
    if mine:
        seen.setdefault(mine, k.capture())
    for context in ("hardirq", "softirq"):
        if f"in {context}" in seen and f"open to {context}" in seen:
            _irq_unsafe(k, copy.of, context, seen)


def _irq_unsafe(k: Kernel, area: Area, context: str, seen: dict[str, Stack]) -> None:
    split, inside = seen[f"open to {context}"], seen[f"in {context}"]
    k.report(
        "percpu-irq-unsafe",
        f"BUG: kmock: percpu-irq-unsafe in {k.symbol(split)}",
        lines=[f"a {context} handler updates {area.what} too, and may come in between reading it and writing it back"],
        stacks={"access": split, "interrupt": inside, "allocated": area.alloc_stack},
        key=(area, "irq-unsafe"),
    )
