"""What is wrong with the use of a memory pool: the reports (``mm/mempool.c``).

The kernel itself sees little: it has no record of who took what. What it does say comes from KASAN, or from what the
processor meets in a pool that is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from kmock.kernel.hang import deadlock
from kmock.lang.ptr import NULL, Ptr
from kmock.lang.struct import as_ptr
from kmock.mm.mempool_element import memory_of, value_of
from kmock.mm.mempool_reserve import over_slab, ready_made
from kmock.sanitizers.describe import describe, object_info, origin_stacks, place

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.mm.mempool_element import Element
    from kmock.mm.mempool_pool import PoolState, mempool_t
    from kmock.report import Report
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

PATIENCE: Final = 120_000_000_000
"""Nanoseconds after which a wait for an element counts as one that nothing ends."""
_LOCK_MAGIC: Final = 4


class Offsets(NamedTuple):
    """Where the members of ``mempool_t`` lie, and its size."""

    curr_nr: int
    elements: int
    alloc: int
    size: int

    @classmethod
    def of(cls, k: Kernel) -> Offsets:
        """Those of the machine's kernel: lock debugging makes the lock larger."""
        return DEBUG if k.config.lockdep else SHIPPED


SHIPPED: Final = Offsets(curr_nr=8, elements=16, alloc=32, size=72)
DEBUG: Final = Offsets(curr_nr=68, elements=72, alloc=88, size=184)


# -- the pool -------------------------------------------------------------------------------------


def pool_at(k: Kernel, pool: Any, by: str, offsets: Offsets) -> mempool_t:
    """Return the pool that lies where a driver's pointer leads; fault where none does."""
    p = NULL if pool is None else as_ptr(pool)
    phys = k.mem.translate(p) if p else None
    if phys is None:
        k.kasan.page_fault(int(p) + offsets.alloc, write=False, origin=p.origin, by=by, n=8)
    found: mempool_t | None = next((x for x in k.mem.embedded.within(phys, 1) if hasattr(x, "pool_data")), None)
    if found is None:
        k.kasan.check_place(int(p) + offsets.curr_nr, 4, write=False, origin=p.origin, by=by)
        _no_pool(k, p, by)
    return found


def _no_pool(k: Kernel, p: Ptr, by: str) -> NoReturn:
    """What is taken for a pool is other memory, or freed: its function pointers lead anywhere."""
    k.die(
        "wild-pointer-deref",
        f"general protection fault, probably for non-canonical address 0xdead000000000000: 0000 "
        f"[#{k.oopses + 1}] {k.build}",
        lines=[f"{by}() was given {int(p):016x}, where no mempool_t is", f"RIP: 0010:{by}+0x0/0x0"],
        stacks={"access": k.capture(), **(origin_stacks(p.origin) if p.origin is not None else {})},
        hint="mempool_free() takes the element first and the pool second",
    )


def touch(k: Kernel, struct: Allocation, offset: int, by: str) -> Report | None:
    """A function of the pool reads its struct, which may be freed; return the report of that."""
    if struct.live:
        return None
    k.kasan.check_place(struct.addr + offset, 4, write=False, origin=struct, by=by)
    return k.reports.find((struct, "slab", False))


def free_after_end(k: Kernel, state: PoolState, offsets: Offsets) -> None:
    """mempool_free() into a pool that has ended, or never began."""
    struct = state.struct
    if struct is not None and not struct.live:
        touch(k, struct, offsets.curr_nr, "mempool_free")
        touch(k, struct, _LOCK_MAGIC, "do_raw_spin_lock")
        touch(k, struct, offsets.curr_nr, "mempool_free")
    if state.curr_nr < state.min_nr:
        k.kasan.page_fault(0, write=True, origin=None, by="mempool_free", n=8)


def freed_alive(k: Kernel, state: PoolState, struct: Allocation | None) -> None:
    """The struct of a pool is freed by kfree(), which leaves what belongs to the pool behind."""
    k.report(
        "free-of-typed-object",
        f"BUG: kmock: free-of-typed-object in {k.symbol(k.capture())}",
        lines=[f"a mempool is released by mempool_destroy(), which also frees the {state.curr_nr} elements in reserve"],
        stacks={"access": k.capture(), "allocated": state.made_at},
        key=(struct, "free"),
        hint="this object is given back with mempool_destroy(), not kfree()",
    )


def not_created(k: Kernel, state: PoolState) -> None:
    """mempool_destroy() of a pool that mempool_init() made: it frees what is no allocation."""
    k.report(
        "slab-member-free",
        f"BUG: kmock: slab-member-free in {k.symbol(k.capture())}",
        lines=["mempool_destroy() frees the pool itself, which mempool_init() did not allocate"],
        stacks={"access": k.capture(), "allocated": state.made_at},
        hint="mempool_init() is undone by mempool_exit()",
    )


def zero_flag(k: Kernel) -> None:
    """``VM_WARN_ON_ONCE(gfp_mask & __GFP_ZERO)``: what comes from the reserve is not zeroed."""
    if k.config.debug_vm:
        k.warn("mempool-zero-flag", "mm/mempool.c:401", "mempool_alloc", key="once")
    else:
        symbol = k.symbol(k.capture())
        k.report("mempool-zero-flag", f"BUG: kmock: mempool-zero-flag in {symbol}", key=("mempool-zero", symbol))


def check_resize(k: Kernel, state: PoolState) -> None:
    """Report a pool that another task is just resizing."""
    if state.resizing:
        _resize_race(k, state, "mempool_resize")


def _resize_race(k: Kernel, state: PoolState, by: str) -> None:
    k.report(
        "mempool-resize-bad",
        f"BUG: kmock: mempool-resize-bad in {k.symbol(k.capture())}",
        lines=[f"{by}() while another task is inside mempool_resize() of the same pool"],
        stacks={"access": k.capture(), "other": state.resizing, "allocated": state.made_at},
        key=(id(state), "resize"),
        hint="let one task at a time change a pool: hold a mutex around mempool_resize() and mempool_destroy()",
    )


# -- elements that are not back --------------------------------------------------------------------


def check_end(k: Kernel, state: PoolState) -> None:
    """The pool is about to end: report who resizes it, and elements that did not come back."""
    if state.resizing:
        _resize_race(k, state, "mempool_destroy")
    check_lost(k, state)
    out = [e for e in state.taken if not _gone(e) and not (e.about is not None and k.census.knows(e.about))]
    if not out:
        return
    kind = "mempool-destroy-busy"
    stacks = {"access": k.capture(), "allocated": out[0].stack}
    k.report(
        kind,
        f"BUG: kmock: {kind} in {k.symbol(stacks['access'])}",
        lines=[
            f"{len(out)} element{'s' * (len(out) > 1)} of the pool {'are' if len(out) > 1 else 'is'} not back:",
            *(f"  {e.value:016x} taken by task {e.task!r} at {place(e.stack)}" for e in out),
        ],
        stacks=stacks,
        key=(id(state), "busy"),
        attributes={"count": len(out)},
    )
    for e in out:
        if e.about is not None:
            k.census.told(e.about)


def check_lost(k: Kernel, state: PoolState) -> None:
    """Report elements that were freed past the pool: the reserve never gets them back."""
    lost = [e.about for e in state.taken if e.about is not None and _gone(e)]
    for e in [e for e in state.taken if _gone(e)]:
        del state.elements[e.value]
    lost = [about for about in lost if not k.census.knows(about)]
    if not lost:
        return
    kind = "mempool-reserve-exhausted"
    first = lost[0]
    found = k.report(
        kind,
        f"BUG: kmock: {kind} in {k.symbol(k.capture())}",
        lines=[
            f"the reserve has {state.curr_nr} of {state.min_nr} elements; these were freed, but not by mempool_free():",
            *(f"  {about.addr:016x} taken at {place(about.alloc_stack)}" for about in lost),
            *describe(k, first.addr, first),
        ],
        stacks={"access": k.capture(), **origin_stacks(first)},
        object=object_info(k, first, first.addr),
        key=(first, "free"),
        attributes={"count": len(lost)},
    )
    if found is not None:
        k.reports.also(found, *((about, "free") for about in lost))


def _gone(e: Element) -> bool:
    """Whether a taken element's memory was freed."""
    return e.about is not None and not e.about.live and not e.about.reserved


# -- elements that come back wrongly ----------------------------------------------------------------


def was_returned(element: Any) -> bool:
    """Whether a pool freed the memory that ``element`` is, or was."""
    about = memory_of(element)
    return about is not None and not about.live and getattr(about, "fate", "") == "returned"


def double_free(k: Kernel, state: PoolState, element: Any, known: Element | None) -> None:
    """An element comes back that is back already: in the reserve, where ``known`` is, or with the allocator."""
    kind = "mempool-double-free"
    stack = k.capture()
    about = known.about if known is not None else memory_of(element)
    headline = f"BUG: kmock: {kind} in {k.symbol(stack)}"
    if k.kasan.on and over_slab(state):
        room = state.curr_nr < state.min_nr
        by = "__kmem_cache_free" if ready_made(state.alloc) == "mempool_kmalloc" else "kmem_cache_free"
        headline = f"BUG: KASAN: double-free in {k.symbol(stack) if room else f'{by}+0x0/0x0'}"
    address = value_of(k, element)
    k.report(
        kind,
        headline,
        lines=[
            f"Free of addr {address:016x} by task {k.current!r}",
            *([] if about is None else describe(k, about.addr, about)),
        ],
        stacks={"access": stack, **(origin_stacks(about) if about is not None else {})},
        object=object_info(k, about, about.addr) if about is not None else None,
        key=(about if about is not None else address, "free"),
        taint="B",
    )


def foreign(k: Kernel, state: PoolState, element: Any, pools: list[PoolState]) -> None:
    """An element comes back that was never this pool's."""
    kind = "mempool-wrong-pool"
    value = value_of(k, element)
    owner, known = next(
        ((p, e) for p in pools if p is not state and (e := p.elements.get(value)) is not None), (None, None)
    )
    about = memory_of(element)
    stacks: dict[str, Stack] = {"access": k.capture()}
    if owner is not None and known is not None:
        del owner.elements[value]
        line = f"the element belongs to the pool made at {place(owner.made_at)}, this one was made at "
        stacks["allocated"] = known.stack or owner.made_at
    else:
        line = "this is no element of any pool; the pool was made at "
        if about is not None:
            stacks |= origin_stacks(about)
    if about is not None:
        k.slab.claims.pop(about.seq, None)
    k.report(
        kind,
        f"BUG: kmock: {kind} in {k.symbol(stacks['access'])}",
        lines=[f"Free of addr {value:016x} by task {k.current!r}", line + place(state.made_at)],
        stacks=stacks,
        object=object_info(k, about, about.addr) if about is not None else None,
        key=(about if about is not None else value, "free"),
    )


# -- waiting ---------------------------------------------------------------------------------------


def check_patience(k: Kernel, state: PoolState, task: Task, began: int) -> None:
    """``task`` is about to wait once more: report a wait that nothing ends; end the test's code where it waits."""
    if k.clock.now - began < PATIENCE:
        return
    report = waits_in_vain(k, state, task)
    if task.pid not in k.sched.tasks:
        raise deadlock(k, report)


def waits_in_vain(k: Kernel, state: PoolState, task: Task) -> Report | None:
    """Report that ``task`` waits for an element that does not come; it may hold one itself."""
    mine = [e for e in state.taken if e.task is task]
    kind = "mempool-nested-alloc" if mine else "hang"
    stacks: dict[str, Stack] = {"access": task.slept_at or k.capture()}
    lines = [
        f"task {task!r} sleeps in mempool_alloc(): the allocator fails, and the reserve of {state.min_nr} is empty"
    ]
    for e in state.taken:
        stacks.setdefault("taken by itself" if e.task is task else f"taken by {e.task!r}", e.stack)
        lines.append(f"  an element was taken by task {e.task!r} at {place(e.stack)}")
    for e in mine:
        if e.about is not None:
            k.census.told(e.about)  # the task that ends here never gives it back
    if mine:
        lines.append("it waits for itself: whoever holds an element must not wait for another of the same pool")
    key = ("mempool-wait", task, id(state))
    found: Report | None = k.report(
        kind,
        f"BUG: kmock: {kind} in {k.symbol(stacks['access'])}",
        lines=lines,
        stacks=stacks,
        key=key,
        attributes={"waiting": f"{task!r}"},
    )
    return found or k.reports.find(key)
