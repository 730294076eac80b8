"""The execution contexts that ``gfp_context`` takes a test through (``include/linux/gfp.h``, ``preempt.h``)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from kmock.linux.gfp import GFP_ATOMIC, GFP_KERNEL, GFP_NOFS, GFP_NOIO
from kmock.linux.sched.mm import memalloc_nofs_restore, memalloc_nofs_save, memalloc_noio_restore, memalloc_noio_save
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from kmock.machine import Kernel


@final
class GfpContext:
    """One execution context: its ``name``, whether it is ``atomic``, and ``gfp``, the best mask legal there."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.name = name
        self.gfp, self._enter = _CONTEXTS[name]
        self._kernel = kernel

    @property
    def atomic(self) -> bool:
        """Whether sleeping is forbidden."""
        return self.gfp == GFP_ATOMIC

    def enter(self) -> AbstractContextManager[None]:
        """Return a context manager whose block runs in this context."""
        return self._enter(self._kernel)

    def __repr__(self) -> str:
        return f"<gfp_context {self.name}>"


@contextmanager
def _process(kernel: Kernel) -> Iterator[None]:
    yield


def _softirq(kernel: Kernel) -> AbstractContextManager[None]:
    return kernel.softirq()


def _hardirq(kernel: Kernel) -> AbstractContextManager[None]:
    return kernel.hardirq()


@contextmanager
def _spinlock(kernel: Kernel) -> Iterator[None]:
    lock = DEFINE_SPINLOCK("gfp_context")
    spin_lock(lock)
    yield
    spin_unlock(lock)


@contextmanager
def _noio(kernel: Kernel) -> Iterator[None]:
    flags = memalloc_noio_save()
    yield
    memalloc_noio_restore(flags)


@contextmanager
def _nofs(kernel: Kernel) -> Iterator[None]:
    flags = memalloc_nofs_save()
    yield
    memalloc_nofs_restore(flags)


_CONTEXTS: dict[str, tuple[int, Callable[[Kernel], AbstractContextManager[None]]]] = {
    "process": (GFP_KERNEL, _process),
    "softirq": (GFP_ATOMIC, _softirq),
    "hardirq": (GFP_ATOMIC, _hardirq),
    "spinlock": (GFP_ATOMIC, _spinlock),
    "noio": (GFP_NOIO, _noio),
    "nofs": (GFP_NOFS, _nofs),
}
