"""Memory pools (``mm/mempool.c``): an allocator with a reserve that is there when the allocator has nothing.

An allocation asks the pool's allocator first, without letting it wait; then the reserve; then the allocator once more,
which may wait now; and then it sleeps until somebody gives an element back. A free refills the reserve before the
allocator gets anything.

The reserve is an array of pointers in simulated memory, as in the kernel, so that what it holds is found there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from kmock.kernel import spinlock
from kmock.kernel.hang import Wait
from kmock.kernel.task import TASK_UNINTERRUPTIBLE
from kmock.kernel.wait import finish, prepare, wait_queue_entry, wake
from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm import mempool_misuse as misuse
from kmock.mm.gfp import __GFP_DIRECT_RECLAIM as GFP_DIRECT_RECLAIM
from kmock.mm.gfp import __GFP_IO as GFP_IO
from kmock.mm.gfp import __GFP_NOMEMALLOC as GFP_NOMEMALLOC
from kmock.mm.gfp import __GFP_NORETRY as GFP_NORETRY
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.mempool_element import Element, is_null, value_of
from kmock.mm.mempool_pool import PoolState, mempool_t
from kmock.mm.mempool_reserve import keep, let_go, release
from kmock.mm.might_alloc import might_alloc
from kmock.mm.slab_common import overflowed
from kmock.sanitizers.null_check import NullChecks
from kmock.sanitizers.object import FailedAllocation
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel

    Alloc = Callable[[int, Any], Any]
    Free = Callable[[Any, Any], object]

_ENOMEM: Final = 12
_NO_NODE: Final = -1
_RETRY_SECONDS: Final = 5
_ALWAYS: Final = GFP_NOMEMALLOC | GFP_NORETRY | GFP_NOWARN


class Mempools:
    """The pools of one machine."""

    __slots__ = ("_clock", "_made", "kernel", "null_checks", "offsets", "pools", "word")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.pools: WeakValueDictionary[int, mempool_t] = WeakValueDictionary()
        """Pools that were initialised, by their ordinal."""
        self.offsets = misuse.Offsets.of(kernel)
        self.word = kernel.layout.bits // 8
        self.null_checks = NullChecks(kernel) if kernel.config.lint else None
        self._made = 0
        self._clock = 0
        kernel.census.register(self._finish)

    def _finish(self) -> None:
        """The machine stops: whoever still waits for an element waits in vain."""
        for pool in list(self.pools.values()):
            state = pool.of(self.kernel)
            for task in [*state.waiters]:
                misuse.waits_in_vain(self.kernel, state, task)

    # -- making and ending ------------------------------------------------------------------------

    def create(
        self, min_nr: int, alloc: Alloc, free: Free, data: Any, gfp: int = GFP_KERNEL, node: int = _NO_NODE
    ) -> mempool_t | Ptr:
        """``mempool_create_node()``: a pool, or NULL."""
        k = self.kernel
        p = k.slab.kmalloc(self.offsets.size, gfp | GFP_ZERO, node)
        if not p:
            return p
        pool = mempool_t()
        pool.of(k).struct = p.origin
        k.mem.embedded.put(p, pool)
        if self.init(pool, min_nr, alloc, free, data, gfp, node):
            k.slab.kfree(p)
            return make_ptr(0, FailedAllocation("mempool_create", self.offsets.size, capture(2)))
        return pool

    def init(
        self, pool: mempool_t, min_nr: int, alloc: Alloc, free: Free, data: Any, gfp: int = GFP_KERNEL, node: int = -1
    ) -> int:
        """``mempool_init_node()``: 0, or -ENOMEM."""
        state = pool.of(self.kernel)
        state.min_nr, state.alloc, state.free, state.pool_data = min_nr, alloc, free, data
        state.made_at = capture(2)
        array = self._array(min_nr, gfp, node)
        if not array:
            return -_ENOMEM
        self._made += 1
        self.pools[self._made] = pool
        self._set_array(pool, state, array)
        while state.curr_nr < state.min_nr:
            element = self._new(state, gfp)
            if is_null(element):
                self.exit(pool)
                return -_ENOMEM
            self._add(state, element)
        return 0

    def _array(self, n: int, gfp: int, node: int = _NO_NODE) -> Ptr:
        """``kmalloc_array_node()`` of ``n`` pointers."""
        k = self.kernel
        if n < 0:
            return overflowed(k, "kmalloc_array_node", n, self.word)
        return k.slab.kmalloc(n * self.word, gfp, node) if n else k.slab.zero_size()

    def _set_array(self, pool: mempool_t, state: PoolState, array: Ptr) -> None:
        k = self.kernel
        state.array = array.origin
        place = k.mem.embedded.address(pool)
        if place is None:
            state.root = array
        else:
            k.mem.store_ptr(Ptr(place), self.offsets.elements if state.struct else misuse.SHIPPED.elements, array)
        if state.struct is not None and state.array is not None:
            # Whoever forgets the pool forgets its struct, and one report is enough.
            k.census.told(state.array)

    def exit(self, pool: mempool_t) -> None:
        """``mempool_exit()``: free the reserve. A pool that is all zeroes has none."""
        k = self.kernel
        state = pool.of(k)
        if state.array is None:
            return
        misuse.check_end(k, state)
        while state.curr_nr:
            element = self._remove(state)
            self._give_back(state, element)
        array, state.array = state.array, None
        state.root = NULL
        k.slab.kfree(make_ptr(array.addr, array))

    def destroy(self, pool: Any) -> None:
        """``mempool_destroy()``; NULL is nothing to do."""
        if pool is None or (isinstance(pool, Ptr) and not pool):
            return
        k = self.kernel
        pool = self._pool(pool, "mempool_exit")
        struct = pool.of(k).struct
        if struct is None:
            misuse.not_created(k, pool.of(k))
            self.exit(pool)
            return
        first = misuse.touch(k, struct, self.offsets.curr_nr, "mempool_exit")
        if first is not None:
            k.reports.also(first, (struct, "free"))
        self.exit(pool)
        k.slab.kfree(make_ptr(struct.addr, struct))

    # -- taking and giving back -------------------------------------------------------------------

    def alloc(self, pool: Any, gfp: int) -> Any:
        """``mempool_alloc()``: an element; NULL only where ``gfp`` forbids to wait for one."""
        k = self.kernel
        pool = self._pool(pool, "mempool_alloc")
        if gfp & GFP_ZERO:
            misuse.zero_flag(k)
        might_alloc(k, gfp, "mempool-alloc-atomic")
        if self.null_checks is not None:
            self.null_checks.look("mempool_alloc", gfp)
        gfp |= _ALWAYS
        tried = gfp & ~(GFP_DIRECT_RECLAIM | GFP_IO)
        began = k.clock.now
        while True:
            state: PoolState = pool.of(k)
            if state.struct is not None and not state.struct.live:
                misuse.touch(k, state.struct, self.offsets.alloc, "mempool_alloc")
            element = self._new(state, tried)
            if not is_null(element):
                return self._hand_out(state, element)
            flags = spinlock.lock_irqsave(k, state.lock, "spin_lock_irqsave")
            if state.curr_nr:
                element = self._remove(state)
                spinlock.unlock_irqrestore(k, state.lock, flags, "spin_unlock_irqrestore")
                return self._hand_out(state, element)
            wait = tried == gfp and gfp & GFP_DIRECT_RECLAIM
            if not wait:
                spinlock.unlock_irqrestore(k, state.lock, flags, "spin_unlock_irqrestore")
                misuse.check_lost(k, state)
                if tried == gfp:
                    return make_ptr(0, FailedAllocation("mempool_alloc", 0, capture(2)))
                tried = gfp
                continue
            self._sleep(state, flags, began)

    def _sleep(self, state: PoolState, flags: int, began: int) -> None:
        """Wait until an element comes back, or five seconds; ``flags`` are those of the lock that is held."""
        k = self.kernel
        task = k.current
        entry = wait_queue_entry(task)
        prepare(k, state.wait, entry, TASK_UNINTERRUPTIBLE)
        spinlock.unlock_irqrestore(k, state.lock, flags, "spin_unlock_irqrestore")
        state.waiters[task] = began
        try:
            misuse.check_patience(k, state, task, began)
            k.sched.schedule_timeout(_RETRY_SECONDS * k.config.hz, Wait("for an element of a mempool"))
        finally:
            del state.waiters[task]
            finish(k, state.wait, entry)

    def release(self, element: Any, pool: Any) -> None:
        """``mempool_free()``: into the reserve if that has room, else to the allocator; NULL is nothing to do."""
        if is_null(element):
            return
        k = self.kernel
        pool = self._pool(pool, "mempool_free")
        state: PoolState = pool.of(k)
        if state.array is None:
            misuse.free_after_end(k, state, self.offsets)
        known = self._check_back(state, element)
        if state.curr_nr < state.min_nr:
            flags = spinlock.lock_irqsave(k, state.lock, "spin_lock_irqsave")
            room = state.curr_nr < state.min_nr
            if room:
                self._add(state, element)
            spinlock.unlock_irqrestore(k, state.lock, flags, "spin_unlock_irqrestore")
            if room:
                wake(k, state.wait)
                return
        if known is not None:
            known.out = False
        self._give_back(state, element)

    def _check_back(self, state: PoolState, element: Any) -> Element | None:
        """Report an element that is not this pool's to take back; return what is known of one that is."""
        k = self.kernel
        known = state.elements.get(value_of(k, element))
        if known is not None and known.out and known.is_now(element):
            return known
        if known is not None and not known.out:
            misuse.double_free(k, state, element, known)
        elif misuse.was_returned(element):
            misuse.double_free(k, state, element, None)
        else:
            misuse.foreign(k, state, element, [p.of(k) for p in self.pools.values()])
        return None

    def resize(self, pool: Any, new_min_nr: int) -> int:
        """``mempool_resize()``: 0, or -ENOMEM where a larger array can't be had."""
        k = self.kernel
        pool = self._pool(pool, "mempool_resize")
        state: PoolState = pool.of(k)
        if new_min_nr <= 0:
            k.bug("mempool-resize-bad", "mm/mempool.c:324", stacks={"access": k.capture(), "allocated": state.made_at})
        k.atomic_sleep.might_sleep("mm/mempool.c:325")
        misuse.check_resize(k, state)
        state.resizing = k.capture()
        try:
            return self._shrink(state, new_min_nr) if new_min_nr <= state.min_nr else self._grow(pool, new_min_nr)
        finally:
            state.resizing = ()

    def _shrink(self, state: PoolState, new_min_nr: int) -> int:
        while new_min_nr < state.curr_nr:
            self._give_back(state, self._remove(state))
        state.min_nr = new_min_nr
        return 0

    def _grow(self, pool: mempool_t, new_min_nr: int) -> int:
        k = self.kernel
        state = pool.of(k)
        array = self._array(new_min_nr, GFP_KERNEL)
        if not array:
            return -_ENOMEM
        old = state.array
        assert old is not None
        if state.curr_nr:
            k.mem.copy(array, make_ptr(old.addr, old), state.curr_nr * self.word)
        k.slab.kfree(make_ptr(old.addr, old))
        self._set_array(pool, state, array)
        state.min_nr = new_min_nr
        while state.curr_nr < state.min_nr:
            element = self._new(state, GFP_KERNEL)
            if is_null(element):
                return 0
            if state.curr_nr >= state.min_nr:
                self._give_back(state, element)
                return 0
            self._add(state, element)
        return 0

    # -- elements ---------------------------------------------------------------------------------

    def _pool(self, pool: Any, by: str) -> mempool_t:
        """Return the pool that a driver passes: itself, or a pointer to one that lies in memory."""
        return pool if pool.__class__ is mempool_t else misuse.pool_at(self.kernel, pool, by, self.offsets)

    def _new(self, state: PoolState, gfp: int) -> Any:
        """Ask the pool's allocator for an element."""
        k = self.kernel
        if state.alloc is None:
            k.kasan.instruction_fetch(0, None)
        before = k.seq
        element = state.alloc(gfp, state.pool_data)
        if is_null(element):
            return element
        known = self._known(element, before)
        state.elements[known.value] = known
        return element

    def _known(self, element: Any, since: int) -> Element:
        self._clock += 1
        return Element(self.kernel, element, since, self._clock)

    def _hand_out(self, state: PoolState, element: Any) -> Any:
        k = self.kernel
        known = state.elements.get(value_of(k, element))
        if known is not None:
            self._clock += 1
            known.taken(k, self._clock, capture(3))
        return element

    def _add(self, state: PoolState, element: Any) -> None:
        """``add_element()``: put it on top of the reserve."""
        k = self.kernel
        value = value_of(k, element)
        known = state.elements.get(value)
        if known is None:
            # Somebody else's memory stays open: nobody here knows what becomes of it.
            known = state.elements[value] = self._known(element, k.seq)
        elif known.is_now(element) and (known.out or not known.reserved):
            keep(k, state, known)
        known.out = False
        assert state.array is not None
        is_ptr = element.__class__ is Ptr
        if not is_ptr:
            state.objects[state.curr_nr] = element
        slot = make_ptr(state.array.addr + state.curr_nr * self.word, state.array)
        k.mem.store_ptr(slot, 0, element if is_ptr else Ptr(known.token))
        state.curr_nr += 1

    def _remove(self, state: PoolState) -> Any:
        """``remove_element()``: take the top of the reserve."""
        k = self.kernel
        state.curr_nr -= 1
        assert state.array is not None
        p = k.mem.load_ptr(make_ptr(state.array.addr, state.array), state.curr_nr * self.word)
        element = state.objects.pop(state.curr_nr, p)
        known = state.elements.get(value_of(k, element))
        if known is not None and known.reserved:
            let_go(k, state, known)
        return element

    def _give_back(self, state: PoolState, element: Any) -> None:
        """The pool's freeing function gets the element."""
        value = value_of(self.kernel, element)
        known = state.elements.pop(value, None)
        if known is not None:
            release(self.kernel, known)
        if state.free is None:
            self.kernel.kasan.instruction_fetch(0, None)
        state.free(element, state.pool_data)
