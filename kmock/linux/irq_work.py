"""``<linux/irq_work.h>``: functions for hard interrupt context, which may be queued anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel.irq_work import irq_work
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel


def IRQ_WORK_INIT(func: Callable[[irq_work], object]) -> irq_work:
    """Define an irq_work that calls ``func(work)``."""
    return irq_work(func)


def IRQ_WORK_INIT_HARD(func: Callable[[irq_work], object]) -> irq_work:
    """Define one that runs in hard interrupt context even on a real-time kernel."""
    return irq_work(func)


def IRQ_WORK_INIT_LAZY(func: Callable[[irq_work], object]) -> irq_work:
    """Define one that waits for the next tick."""
    return irq_work(func, lazy=True)


@api(since="2.6.37")
def init_irq_work(k: Kernel, work: irq_work, func: Callable[[irq_work], object]) -> None:
    """Initialise an irq_work that will call ``func(work)``."""
    state = work.of(k)
    state.func, state.pending, work.lazy = func, False, False


@api(since="2.6.37")
def irq_work_queue(k: Kernel, work: irq_work) -> bool:
    """Have it run on this processor as soon as interrupts are on; False if it is pending already."""
    return k.irq_works.queue(work)


@api(since="4.2")
def irq_work_queue_on(k: Kernel, work: irq_work, cpu: int) -> bool:
    """Have it run on processor ``cpu``; False if it is pending already."""
    return k.irq_works.queue(work, cpu)


@api(since="2.6.37", sleeps=Sleeps.ALWAYS)
def irq_work_sync(k: Kernel, work: irq_work) -> None:
    """Wait until it has run."""
    k.irq_works.sync(work)


@api(since="5.11")
def irq_work_is_pending(k: Kernel, work: irq_work) -> bool:
    """Whether it is queued and has not begun."""
    return work.of(k).pending


@api(since="5.11")
def irq_work_is_busy(k: Kernel, work: irq_work) -> bool:
    """Whether it is queued or runs."""
    state = work.of(k)
    return state.pending or state.running


__getattr__ = header_getattr(__name__)
__all__ = [
    "IRQ_WORK_INIT",
    "IRQ_WORK_INIT_HARD",
    "IRQ_WORK_INIT_LAZY",
    "init_irq_work",
    "irq_work",
    "irq_work_is_busy",
    "irq_work_is_pending",
    "irq_work_queue",
    "irq_work_queue_on",
    "irq_work_sync",
]
