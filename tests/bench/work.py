"""What is measured: each piece of work beside the one that it is held against, as pairs of plain functions.

The budgets are those of the design; nothing here asserts them.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest.mock import MagicMock

import kmock
from kmock.current import current
from kmock.explore.search import attempt_of
from kmock.explore.strategy import RandomWalk
from kmock.linux.compiler import WRITE_ONCE
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc, kzalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock, spinlock_t
from kmock.linux.string import memcpy
from kmock.linux.types import Struct, u32
from kmock.linux.vmalloc import vfree, vmalloc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Pair = tuple[Callable[[], object], Callable[[], object]]

PAGE = 4096
SCHEDULE = "a schedule of two tasks with 10 steps each"


@dataclass(frozen=True)
class Row:
    """One line of the table. ``open`` gives the two functions; ``loops`` is how often each is called in one sample."""

    work: str
    against: str
    budget: float
    open: Callable[[], AbstractContextManager[Pair]]
    loops: int
    samples: int = 60
    """Many and short: on a machine that is never quiet, some of them are not disturbed."""


@contextmanager
def kmalloc_pair() -> Iterator[Pair]:
    mock = MagicMock()

    def work() -> None:
        kfree(kmalloc(64, GFP_KERNEL))

    def against() -> None:
        mock.kfree(mock.kmalloc(64, GFP_KERNEL))

    with kmock.boot():
        yield work, against


@contextmanager
def copy() -> Iterator[Pair]:
    with kmock.boot():
        to, source = kmalloc(PAGE, GFP_KERNEL), kmalloc(PAGE, GFP_KERNEL)
        source[0:PAGE] = bytes(PAGE)
        plain = memoryview(bytearray(2 * PAGE))

        def against() -> None:
            plain[:PAGE] = plain[PAGE:]

        yield lambda: memcpy(to, source, PAGE), against
        kfree(to)
        kfree(source)


@contextmanager
def big_boot() -> Iterator[Pair]:
    yield lambda: kmock.boot(memory="64G", nodes=8, cpus=256).shutdown(), lambda: kmock.boot().shutdown()


@contextmanager
def crowd(live: int) -> Iterator[Callable[[], object]]:
    """A machine with ``live`` objects of the size that the work allocates."""
    with kmock.boot(memory="1G", kmemleak=False) as k:
        kept = [kmalloc(64, GFP_KERNEL) for _ in range(live)]

        def work() -> None:
            # Each machine has its turn: the calls of a driver act on the current one.
            current.kernel = k
            for _ in range(100):
                kfree(kmalloc(64, GFP_KERNEL))

        yield work
        current.kernel = k
        for p in kept:
            kfree(p)


@contextmanager
def crowded_kmalloc() -> Iterator[Pair]:
    with crowd(1_000) as against, crowd(1_000_000) as work:
        yield work, against


@contextmanager
def areas(live: int) -> Iterator[Callable[[], object]]:
    """A machine with ``live`` areas of one page."""
    with kmock.boot(memory="1G", kmemleak=False) as k:
        kept = [vmalloc(PAGE) for _ in range(live)]
        # Every second one goes, so that the way to a gap leads past many.
        for p in kept[::2]:
            vfree(p)
        kept[::2] = [vmalloc(PAGE) for _ in kept[::2]]

        def work() -> None:
            current.kernel = k
            vfree(vmalloc(PAGE))

        yield work
        current.kernel = k
        for p in kept:
            vfree(p)


@contextmanager
def crowded_vmalloc() -> Iterator[Pair]:
    with areas(100) as against, areas(50_000) as work:
        yield work, against


class TwoCounters(Struct):
    a: u32
    b: u32


def two_tasks(k: kmock.Kernel) -> None:
    """Two tasks that take ten steps each."""
    pair = TwoCounters.at(kzalloc(64, GFP_KERNEL))

    def steps(name: str) -> None:
        for n in range(10):
            WRITE_ONCE(pair, name, n)

    k.spawn(steps, "a", cpu=0)
    k.spawn(steps, "b", cpu=1)
    k.join()
    kfree(pair)


@contextmanager
def schedule() -> Iterator[Pair]:
    """One interleaving of two tasks beside the same machine, tasks and steps without a choice."""
    attempt, strategy = attempt_of(two_tasks), RandomWalk(0)

    def against() -> None:
        with kmock.boot() as k:
            two_tasks(k)

    yield lambda: attempt(strategy), against


@contextmanager
def orders(known: int) -> Iterator[Callable[[], object]]:
    """A machine that knows ``known`` classes of locks, all of which were taken inside one."""
    with kmock.boot(kmemleak=False) as k:
        outer, *locks = [DEFINE_SPINLOCK(f"lock{n}") for n in range(known + 1)]

        def nest(inner: spinlock_t) -> None:
            spin_lock(outer)
            spin_lock(inner)
            spin_unlock(inner)
            spin_unlock(outer)

        for inner in locks:
            nest(inner)

        def work() -> None:
            current.kernel = k
            for _ in range(20):
                nest(locks[0])

        yield work


@contextmanager
def known_orders() -> Iterator[Pair]:
    with orders(10) as against, orders(5_000) as work:
        yield work, against


ROWS = (
    Row("kmalloc(64) + kfree", "two calls of a MagicMock", 0.5, kmalloc_pair, 100),
    Row("memcpy of 4 KiB, checked", "memoryview slice copy", 8, copy, 300),
    Row("boot of 64 GiB, 8 nodes, 256 CPUs", "boot of 64 MiB", 4, big_boot, 2),
    Row("kmalloc + kfree, 1,000,000 live", "with 1,000 live", 1.3, crowded_kmalloc, 10),
    Row("vmalloc + vfree, 50,000 live areas", "with 100 live", 1.5, crowded_vmalloc, 100),
    Row(SCHEDULE, "the same without a choice", 10, schedule, 5),
    Row("a spin lock inside another, 5,000 orders known", "with 10 known", 1.2, known_orders, 10),
)
