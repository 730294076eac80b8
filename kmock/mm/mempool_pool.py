"""``mempool_t``: a memory pool, as a driver sees it and as one kernel knows it (``include/linux/mempool.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kmock.current import current
from kmock.kernel.held import PerKernel
from kmock.kernel.spinlock import spinlock_t
from kmock.kernel.wait import wait_queue_head_t
from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm import mempool_misuse as misuse

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.mm.mempool_element import Element
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack


class PoolState:
    """A pool in one kernel."""

    __slots__ = (
        "alloc", "array", "curr_nr", "elements", "free", "lock", "made_at", "min_nr", "objects", "pool_data",
        "resizing", "root", "struct", "wait", "waiters",
    )  # fmt: skip

    def __init__(self) -> None:
        self.min_nr = 0
        self.curr_nr = 0
        self.array: Allocation | None = None
        """The reserve's pointers; None before the pool is initialised and after its end."""
        self.pool_data: Any = 0
        self.alloc: Any = None
        self.free: Any = None
        self.lock = spinlock_t("&pool->lock")
        self.wait = wait_queue_head_t("&pool->wait")
        self.struct: Allocation | None = None
        """The memory of a pool that mempool_create() made."""
        self.root: Ptr = NULL
        """What keeps the array referenced where the pool lies in no simulated memory."""
        self.elements: dict[int, Element] = {}
        """All elements, taken and reserved, by :func:`value_of`."""
        self.objects: dict[int, Any] = {}
        """Elements in the reserve that are no pointers, such as pages, by their index."""
        self.made_at: Stack = ()
        self.resizing: Stack = ()
        """Where a task that is inside mempool_resize() came from; empty if none is."""
        self.waiters: dict[Task, int] = {}
        """Who waits for an element, and since when."""

    @property
    def taken(self) -> list[Element]:
        """The elements that somebody has, in the order in which they were taken."""
        return sorted((e for e in self.elements.values() if e.out), key=lambda e: e.serial)


class mempool_t(PerKernel[PoolState]):
    """``mempool_t``: ``mempool_init()`` makes one usable, ``mempool_create()`` gives a usable one."""

    __slots__ = ()
    C_SIZE: ClassVar[int] = 72

    def fresh(self) -> PoolState:
        """One that is all zeroes."""
        return PoolState()

    @property
    def min_nr(self) -> int:
        """How many elements the reserve is to hold."""
        return self.of(current.get()).min_nr

    @property
    def curr_nr(self) -> int:
        """How many it holds."""
        return self.of(current.get()).curr_nr

    @property
    def elements(self) -> Ptr:
        """The array of pointers to them; the first ``curr_nr`` count."""
        array = self.of(current.get()).array
        return make_ptr(array.addr, array) if array is not None else NULL

    @property
    def pool_data(self) -> Any:
        """What the pool's functions get as their last argument."""
        return self.of(current.get()).pool_data

    @property
    def alloc(self) -> Any:
        """The pool's allocating function."""
        return self.of(current.get()).alloc

    @property
    def free(self) -> Any:
        """The pool's freeing function."""
        return self.of(current.get()).free

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory that the pool lies in is being freed."""
        state = self.of(k)
        if state.array is not None and state.struct is not None:
            misuse.freed_alive(k, state, allocation)
