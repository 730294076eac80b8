"""What memblock did in the kernel's own simulator (``tools/testing/memblock``): 16 MiB of memory at B, nothing else."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kmock.linux.memblock import (
    MEMBLOCK_ALLOC_ANYWHERE,
    MEMBLOCK_HOTPLUG,
    MEMBLOCK_NOMAP,
    MEMBLOCK_NONE,
    NUMA_NO_NODE,
    for_each_free_mem_range,
    memblock,
    memblock_add,
    memblock_add_node,
    memblock_alloc,
    memblock_alloc_exact_nid_raw,
    memblock_alloc_from,
    memblock_alloc_node,
    memblock_alloc_raw,
    memblock_alloc_try_nid,
    memblock_alloc_try_nid_raw,
    memblock_bottom_up,
    memblock_cap_memory_range,
    memblock_clear_hotplug,
    memblock_clear_nomap,
    memblock_enforce_memory_limit,
    memblock_free,
    memblock_is_map_memory,
    memblock_is_memory,
    memblock_is_reserved,
    memblock_mark_hotplug,
    memblock_mark_nomap,
    memblock_phys_alloc,
    memblock_phys_alloc_range,
    memblock_phys_free,
    memblock_remove,
    memblock_reserve,
    memblock_set_bottom_up,
    memblock_trim_memory,
)
from kmock.linux.page import __pa, __va
from kmock.linux.sizes import SZ_64K as K64
from kmock.linux.sizes import SZ_256K as K256
from kmock.linux.sizes import SZ_512K as K512
from kmock.linux.string import memset
from kmock.linux.types import NULL
from tests.conformance import memblock_cases as cases
from tests.conformance.replay import scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock import Kernel
    from kmock.mm.memblock_type import memblock_type
    from tests.conformance.replay import Replay

MB = 1 << 20
B = 16 * MB
FLAGS = {MEMBLOCK_HOTPLUG: ",flags=HOTPLUG", MEMBLOCK_NOMAP: ",flags=NOMAP", MEMBLOCK_NONE: ""}
# Room for what the scenarios add above the simulator's 16 MiB.
MACHINE = {"boot": {"cpus": 2, "memory": "64M", "nodes": 2, "cmdline": ""}}


@contextmanager
def simulator(k: Kernel, *, memory: bool = True) -> Iterator[None]:
    """Run the block with memblock as the simulator has it; the machine then boots with its own again."""
    with k.early_boot():
        own = k.boot_memory.memblock.copy()
        memblock_remove(0, MEMBLOCK_ALLOC_ANYWHERE)
        memblock_phys_free(0, MEMBLOCK_ALLOC_ANYWHERE)
        if memory:
            memblock_add(B, 16 * MB)
        yield
        k.boot_memory.memblock = own


def table(of: memblock_type) -> str:
    rows = [f"[B+{row.base - B if row.size else 0:#x},{row.size:#x}{FLAGS[row.flags]}]" for row in of.regions]
    return f"{''.join(rows)} cnt={of.cnt} total={of.total_size:#x}"


def place(phys: int) -> str:
    return f"B+{phys - B:#x}" if phys else "0 (failed)"


def at(p: int) -> str:
    return place(__pa(p) if p else 0)


@scenario("context.memblock-add-merge-adjacent", **MACHINE)
def add_merges(k: Kernel, s: Replay) -> None:
    with simulator(k, memory=False):
        memblock_add(B, MB)
        memblock_add(B + MB, MB)
        s.check("memory", table(memblock.memory))
        memblock_add(B + 4 * MB, MB)
        s.check("memory'", table(memblock.memory))
        memblock_add(B + MB, 4 * MB)
        s.check("memory''", table(memblock.memory))
        memblock_add(B + 3 * MB, K64)
        s.check("memory'''", table(memblock.memory))


@scenario("context.memblock-add-sorted", **MACHINE)
def add_sorts(k: Kernel, s: Replay) -> None:
    with simulator(k, memory=False):
        for megabyte in (8, 0, 4):
            memblock_add(B + megabyte * MB, MB)
        s.check("memory", table(memblock.memory))


@scenario("context.memblock-add-flags-no-merge", **MACHINE)
def flags_keep_apart(k: Kernel, s: Replay) -> None:
    with simulator(k, memory=False):
        memblock_add(B, MB)
        memblock_add(B + MB, MB)
        memblock_mark_hotplug(B + MB, MB)
        s.check("memory", table(memblock.memory))
        memblock_clear_hotplug(B + MB, MB)
        s.check("memory'", table(memblock.memory))


@scenario("context.memblock-remove-middle-splits", **MACHINE)
def remove_splits(k: Kernel, s: Replay) -> None:
    with simulator(k):
        s.check("ret", memblock_remove(B + 4 * MB, 2 * MB))
        s.check("memory", table(memblock.memory))
        memblock_remove(B, 4 * MB)
        s.check("memory'", table(memblock.memory))
        memblock_remove(B + 15 * MB, 4 * MB)
        s.check("memory''", table(memblock.memory))
        s.check("ret_none", memblock_remove(B + 40 * MB, MB))
        s.check("memory'''", table(memblock.memory))


@scenario("context.memblock-remove-last-region", **MACHINE)
def remove_all(k: Kernel, s: Replay) -> None:
    with simulator(k):
        memblock_remove(B, 16 * MB)
        s.check("memory", table(memblock.memory))


@scenario("context.memblock-reserve-outside-memory", **MACHINE)
def reserve_outside(k: Kernel, s: Replay) -> None:
    with simulator(k):
        s.check("ret", memblock_reserve(B + 40 * MB, MB))
        s.check("reserved", table(memblock.reserved))
        s.check("is_reserved", memblock_is_reserved(B + 40 * MB))
        s.check("is_memory", memblock_is_memory(B + 40 * MB))


@scenario("context.memblock-free-part-of-reservation", **MACHINE)
def free_part(k: Kernel, s: Replay) -> None:
    with simulator(k):
        memblock_reserve(B, 4 * MB)
        s.check("ret", memblock_phys_free(B + MB, MB))
        s.check("reserved", table(memblock.reserved))
        s.check("ret_unreserved", memblock_phys_free(B + 10 * MB, MB))
        s.check("reserved'", table(memblock.reserved))
        s.check("ret_double", memblock_phys_free(B + MB, MB))
        s.check("reserved''", table(memblock.reserved))


@scenario("context.memblock-alloc-bottom-up", **MACHINE)
def bottom_up(k: Kernel, s: Replay) -> None:
    with simulator(k):
        memblock_set_bottom_up(True)
        for name, size, align in (("a", 100, 64), ("b", 100, 64), ("c", 4096, 4096), ("d", 100, 64)):
            s.check(name, at(memblock_alloc(size, align)))
        s.check("reserved", table(memblock.reserved))


@scenario("context.memblock-alloc-size-not-rounded", **MACHINE)
def size_not_rounded(k: Kernel, s: Replay) -> None:
    with simulator(k):
        s.check("a", at(memblock_alloc(1, 64)))
        s.check("reserved", table(memblock.reserved))
        s.check("b", at(memblock_alloc(65, 64)))
        s.check("reserved'", table(memblock.reserved))


@scenario("context.memblock-alloc-align-zero", **MACHINE)
def align_zero(k: Kernel, s: Replay) -> None:
    with simulator(k):
        s.check("a", at(memblock_alloc(100, 0)))
        s.check("reserved", table(memblock.reserved))
    s.except_("SMP_CACHE_BYTES", "32 in the simulator, 64 on x86; the place is the same")


@scenario("context.memblock-alloc-align-odd", **MACHINE)
def align_odd(k: Kernel, s: Replay) -> None:
    with simulator(k):
        s.check("a", at(memblock_alloc(100, 96)))
        s.check("b", at(memblock_alloc(100, 96)))
        s.check("reserved", table(memblock.reserved))


@scenario("context.memblock-alloc-zeroing", **MACHINE)
def zeroing(k: Kernel, s: Replay) -> None:
    with simulator(k):
        memset(__va(B), 0xAA, 16 * MB)
        s.check("alloc_first_byte", memblock_alloc(64, 64)[0])
        s.check("raw_first_byte", memblock_alloc_raw(64, 64)[0])
        s.check("phys_first_byte", __va(memblock_phys_alloc(64, 64))[0])


@scenario("context.memblock-alloc-max-addr", **MACHINE)
def max_addr(k: Kernel, s: Replay) -> None:
    with simulator(k):
        for name, size, end in (
            ("below_max", 4096, 4 * MB),
            ("second", 4096, 4 * MB),
            ("too_big_for_range", 5 * MB, 4 * MB),
            ("exact_fit_unaligned_max", 4096, MB + 100),
        ):
            s.check(name, at(memblock_alloc_try_nid(size, 4096, B, B + end, NUMA_NO_NODE)))


@scenario("context.memblock-alloc-too-big", **MACHINE)
def too_big(k: Kernel, s: Replay) -> None:
    with simulator(k):
        s.check("a", at(memblock_alloc(17 * MB, 64)))
        s.check("all", at(memblock_alloc(16 * MB, 64)))
        s.check("after_all", at(memblock_alloc(1, 1)))


@scenario("context.memblock-alloc-skips-holes", **MACHINE)
def skips_holes(k: Kernel, s: Replay) -> None:
    with simulator(k, memory=False):
        memblock_add(B, 2 * MB)
        memblock_add(B + 4 * MB, 2 * MB)
        memblock_reserve(B + 5 * MB, K64)
        s.check("one_and_a_half", at(memblock_alloc(MB + K512, 4096)))
        s.check("three", at(memblock_alloc(3 * MB, 4096)))
        s.check("small", at(memblock_alloc(K64, 4096)))
        s.check("reserved", table(memblock.reserved))


@scenario("context.memblock-alloc-first-fit-top-down", **MACHINE)
def first_fit(k: Kernel, s: Replay) -> None:
    with simulator(k):
        memblock_reserve(B + 15 * MB, K512)
        s.check("fits_top_gap", at(memblock_alloc(K256, 4096)))
        s.check("needs_lower", at(memblock_alloc(K512 + K256, 4096)))
        s.check("reserved", table(memblock.reserved))


@scenario("context.memblock-alloc-never-page-zero", **MACHINE)
def never_page_zero(k: Kernel, s: Replay) -> None:
    with simulator(k, memory=False):
        memblock_add(0, 8192)
        s.check("one_page", memblock_phys_alloc_range(4096, 4096, 0, MEMBLOCK_ALLOC_ANYWHERE))
        s.check("second", memblock_phys_alloc_range(4096, 4096, 0, MEMBLOCK_ALLOC_ANYWHERE))


@scenario("context.memblock-alloc-hotplug-region", **MACHINE)
def hotplug_region(k: Kernel, s: Replay) -> None:
    with simulator(k):
        memblock_mark_hotplug(B + 8 * MB, 8 * MB)
        s.check("a", at(memblock_alloc(4096, 4096)))
        memblock_is_movable(k)
        s.check("movable_node", at(memblock_alloc(4096, 4096)))


def memblock_is_movable(k: Kernel) -> None:
    """Set the kernel's variable ``movable_node_enabled``, which the command line sets otherwise."""
    k.boot_memory.memblock.movable_node = True


@scenario("context.memblock-alloc-nomap-region", **MACHINE)
def nomap_region(k: Kernel, s: Replay) -> None:
    with simulator(k):
        memblock_mark_nomap(B + 8 * MB, 8 * MB)
        s.check("a", at(memblock_alloc(4096, 4096)))
        s.check("memory", table(memblock.memory))
        s.check("is_memory", memblock_is_memory(B + 9 * MB))
        s.check("is_map_memory", memblock_is_map_memory(B + 9 * MB))
        memblock_clear_nomap(B + 8 * MB, 8 * MB)
        s.check("memory'", table(memblock.memory))


@scenario("context.memblock-memblock-free", **MACHINE)
def free_gives_back(k: Kernel, s: Replay) -> None:
    with simulator(k):
        a = memblock_alloc(4096, 4096)
        s.check("a", at(a))
        memblock_free(a, 4096)
        s.check("reserved", table(memblock.reserved))
        s.check("again", at(memblock_alloc(4096, 4096)))
        memblock_free(NULL, 4096)
        s.check("reserved'", table(memblock.reserved))


@scenario("context.memblock-trim-memory", **MACHINE)
def trim(k: Kernel, s: Replay) -> None:
    with simulator(k, memory=False):
        memblock_add(B + 100, MB)
        memblock_add(B + 4 * MB, 1000)
        memblock_trim_memory(4096)
        s.check("memory", table(memblock.memory))


@scenario("context.memblock-cap-memory", **MACHINE)
def cap(k: Kernel, s: Replay) -> None:
    with simulator(k, memory=False):
        memblock_add(B, 4 * MB)
        memblock_add(B + 8 * MB, 4 * MB)
        memblock_reserve(B + 11 * MB, K64)
        memblock_enforce_memory_limit(6 * MB)
        s.check("memory", table(memblock.memory))
        s.check("reserved", table(memblock.reserved))
        memblock_cap_memory_range(B + MB, 2 * MB)
        s.check("memory'", table(memblock.memory))


@scenario("context.memblock-free-range-iteration", **MACHINE)
def free_ranges(k: Kernel, s: Replay) -> None:
    with simulator(k):
        memblock_reserve(B + MB, MB)
        memblock_reserve(B + 15 * MB, 2 * MB)
        found = for_each_free_mem_range(NUMA_NO_NODE, MEMBLOCK_NONE)
        s.check("ranges", "".join(f"[{place(start)}-{place(end)}]" for start, end, _ in found))


@scenario("context.memblock-bottom-up-min-addr", **MACHINE)
def bottom_up_from(k: Kernel, s: Replay) -> None:
    with simulator(k):
        memblock_set_bottom_up(True)
        s.check("a", at(memblock_alloc_from(4096, 4096, B + 3 * MB + 1)))
        s.check("b", at(memblock_alloc_from(4096, 4096, B + 3 * MB + 1)))


@scenario("context.memblock-numa-exact-and-fallback", **MACHINE)
def numa(k: Kernel, s: Replay) -> None:
    with simulator(k, memory=False):
        memblock_add_node(B, 4 * MB, 0, MEMBLOCK_NONE)
        memblock_add_node(B + 4 * MB, 4 * MB, 1, MEMBLOCK_NONE)
        s.check("memory", table(memblock.memory))
        s.check("node0", at(memblock_alloc_node(4096, 4096, 0)))
        s.check("node1", at(memblock_alloc_node(4096, 4096, 1)))
        s.check("no_node", at(memblock_alloc(4096, 4096)))
        memblock_reserve(B, 4 * MB)
        s.check("node0_full_try", at(memblock_alloc_try_nid(4096, 4096, 0, 0, 0)))
        s.check("node0_full_exact", at(memblock_alloc_exact_nid_raw(4096, 4096, 0, 0, 0)))
        s.check("reserved", table(memblock.reserved))


@scenario("context.memblock-selftest-flat", **MACHINE)
def selftest(k: Kernel, s: Replay) -> None:
    counts: Counter[str] = Counter()
    with simulator(k, memory=False):
        fresh()
        assert (memblock.memory.cnt, memblock.reserved.cnt) == (1, 1)
        assert memblock.bottom_up is False
        counts["memblock_initialization_check"] += 1
        try_tables(counts)
        for enable in (True, False):
            memblock_set_bottom_up(enable)
            assert memblock_bottom_up() is enable
        counts["memblock_set_bottom_up"] += 1
        counts["memblock_bottom_up"] += 1
        for up in (False, True):
            memblock_set_bottom_up(up)
            try_allocations(counts, up=up)
    s.check("passed_by_function", dict(counts))
    s.check("passed", counts.total())
    s.check("failed", 0)
    s.except_("exit", "status of the simulator's process")


def fresh(memory: list[tuple[int, int]] | None = None, reserved: list[tuple[int, int]] | None = None) -> None:
    """Have these tables and nothing else."""
    memblock_remove(0, MEMBLOCK_ALLOC_ANYWHERE)
    memblock_phys_free(0, MEMBLOCK_ALLOC_ANYWHERE)
    for base, size in memory or []:
        memblock_add(absolute(base), size)
    for base, size in reserved or []:
        memblock_reserve(absolute(base), size)


def absolute(offset: int) -> int:
    return offset + B if offset < 1 << 40 else offset


def holds(of: memblock_type, expected: list[tuple[int, int]]) -> None:
    assert [(row.base, row.size) for row in of] == [(absolute(base), size) for base, size in expected]


def try_tables(counts: Counter[str]) -> None:
    for before, (base, size), after in cases.ADDED.values():
        fresh(memory=before)
        memblock_add(absolute(base), size)
        holds(memblock.memory, after)
        fresh(reserved=before)
        memblock_reserve(absolute(base), size)
        holds(memblock.reserved, after)
        counts.update(("memblock_add", "memblock_reserve"))
    fresh()
    memblock_add_node(B, cases.K, 1, MEMBLOCK_HOTPLUG)
    assert [(row.nid, row.flags) for row in memblock.memory] == [(1, MEMBLOCK_HOTPLUG)]
    counts["memblock_add"] += 1
    for before, (base, size), after in cases.REMOVED.values():
        fresh(memory=before)
        memblock_remove(absolute(base), size)
        holds(memblock.memory, after)
        fresh(reserved=before)
        memblock_phys_free(absolute(base), size)
        holds(memblock.reserved, after)
        counts.update(("memblock_remove", "memblock_free"))
    for before, after in cases.TRIMMED.values():
        fresh(memory=before)
        memblock_trim_memory(4096)
        holds(memblock.memory, after)
        counts["memblock_trim_memory"] += 1


def try_allocations(counts: Counter[str], *, up: bool) -> None:
    memory = [(0, cases.END)]
    for alloc in (memblock_alloc, memblock_alloc_raw):
        for reserved, call, expected in (cases.UP if up else cases.DOWN).values():
            fresh(memory, reserved)
            lies(alloc(*call), expected)
            counts[alloc.__name__] += 1
        fresh()
        lies(alloc(16, 64), None)
        counts[alloc.__name__] += 1
    for reserved, (size, align, low), expected in (cases.FROM_UP if up else cases.FROM_DOWN).values():
        fresh(memory, reserved)
        lies(memblock_alloc_from(size, align, B + low), expected)
        counts["memblock_alloc_from"] += 1
    for alloc in (memblock_alloc_try_nid, memblock_alloc_try_nid_raw):
        for reserved, (size, low, high), expected in (cases.RANGE_UP if up else cases.RANGE_DOWN).values():
            fresh(memory, reserved)
            lies(alloc(size, cases.LINE, B + low, B + high, NUMA_NO_NODE), expected)
            counts[alloc.__name__] += 1


def lies(p: int, expected: int | None) -> None:
    assert at(p) == (f"B+{expected:#x}" if expected is not None else "0 (failed)")
