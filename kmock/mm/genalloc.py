"""Pools of special memory: on-chip SRAM, device memory (``lib/genalloc.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from kmock.lang.ptr import NULL, Ptr
from kmock.sanitizers.leftovers import Registration
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.machine import Kernel
    from kmock.stack import Stack

SIZEOF_POOL: Final = 88
SIZEOF_CHUNK: Final = 64
_FILE: Final = "lib/genalloc.c"


class Chunk:
    """``struct gen_pool_chunk``: memory that a pool divides, in units of ``1 << order`` bytes."""

    def __init__(self, virt: Ptr, phys: int, size: int, order: int) -> None:
        self.virt = virt
        self.phys = phys
        self.size = size
        self.bits = size >> order
        self.taken: dict[int, tuple[int, Stack]] = {}
        """How many units were given from a unit on, and where."""
        self.avail = size

    def holds(self, addr: int, n: int = 1) -> bool:
        """Whether ``[addr, addr + n)`` lies in it."""
        return int(self.virt) <= addr and addr + n <= int(self.virt) + self.size

    def gaps(self) -> Iterator[tuple[int, int]]:
        """The free units, as ranges ``[first, end)``, the lowest first."""
        at = 0
        for first in sorted(self.taken):
            if first > at:
                yield at, first
            at = first + self.taken[first][0]
        if at < self.bits:
            yield at, self.bits


def first_fit(chunk: Chunk, n: int, data: Any, order: int) -> int | None:
    """``gen_pool_first_fit()``: the lowest ``n`` units."""
    return _aligned(chunk, n, 1)


def first_fit_align(chunk: Chunk, n: int, data: Any, order: int) -> int | None:
    """``gen_pool_first_fit_align()``: aligned to ``data`` bytes."""
    align = max(1, -(-int(data) >> order))
    return _aligned(chunk, n, align, (int(chunk.virt) & int(data) - 1) >> order)


def first_fit_order_align(chunk: Chunk, n: int, data: Any, order: int) -> int | None:
    """``gen_pool_first_fit_order_align()``: aligned to the size, rounded up to a power of two."""
    return _aligned(chunk, n, 1 << (n - 1).bit_length())


def best_fit(chunk: Chunk, n: int, data: Any, order: int) -> int | None:
    """``gen_pool_best_fit()``: the smallest gap that is big enough."""
    gaps = [(end - first, first) for first, end in chunk.gaps() if end - first >= n]
    return min(gaps)[1] if gaps else None


def fixed(chunk: Chunk, n: int, data: Any, order: int) -> int | None:
    """``gen_pool_fixed_alloc()``: at offset ``data`` of the chunk and nowhere else."""
    at = int(data) >> order
    return at if any(first <= at and at + n <= end for first, end in chunk.gaps()) else None


def _aligned(chunk: Chunk, n: int, align: int, offset: int = 0) -> int | None:
    for first, end in chunk.gaps():
        at = -(-(first + offset) // align) * align - offset
        if at + n <= end:
            return at
    return None


class gen_pool:
    """``struct gen_pool``."""

    def __init__(self, order: int, name: str, stack: Stack) -> None:
        self.min_alloc_order = order
        self.name = name
        self.stack = stack
        self.chunks: list[Chunk] = []
        self.algo: Callable[[Chunk, int, Any, int], int | None] = first_fit
        self.data: Any = None


class GenPools:
    """The pools of one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.pools: list[gen_pool] = []

    def create(self, order: int, name: str = "") -> gen_pool | None:
        """``gen_pool_create()``: an empty pool, None if there is no memory."""
        k = self.kernel
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_POOL):
            return None
        pool = gen_pool(order, name, k.capture())
        self.pools.append(pool)
        return pool

    def add(self, pool: gen_pool, virt: Ptr, phys: int, size: int) -> int:
        """``gen_pool_add_virt()``: let the pool divide ``size`` bytes more; 0 or -ENOMEM."""
        k = self.kernel
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_CHUNK):
            return -errno.ENOMEM
        pool.chunks.insert(0, Chunk(virt, phys, size, pool.min_alloc_order))
        return 0

    def alloc(self, pool: gen_pool, size: int, algo: Any = None, data: Any = None) -> Ptr:
        """``gen_pool_alloc()``: ``size`` bytes, rounded up to the pool's unit; 0 where none are free."""
        n = -(-size >> pool.min_alloc_order)
        for chunk in pool.chunks if size > 0 else ():
            at = (algo or pool.algo)(chunk, n, data if algo else pool.data, pool.min_alloc_order)
            if at is not None:
                chunk.taken[at] = n, capture(2)
                chunk.avail -= n << pool.min_alloc_order
                return chunk.virt + (at << pool.min_alloc_order)
        return NULL

    def free(self, pool: gen_pool, addr: int, size: int) -> None:
        """``gen_pool_free()``."""
        k = self.kernel
        chunk = next((c for c in pool.chunks if c.holds(int(addr))), None)
        if chunk is None:
            self._foreign(pool, int(addr))
            return
        if not chunk.holds(int(addr), size):
            k.bug("free-size-mismatch", f"{_FILE}:505")
        at = int(addr) - int(chunk.virt) >> pool.min_alloc_order
        n = -(-size >> pool.min_alloc_order)
        given = chunk.taken.pop(at, None)
        if given is None:
            k.bug("slab-double-free", f"{_FILE}:508")
        if given[0] != n:
            kind = "free-size-mismatch"
            stacks = {"access": k.capture(), "allocated": given[1]}
            if n > given[0]:
                k.bug(kind, f"{_FILE}:508", stacks=stacks)
            unit = 1 << pool.min_alloc_order
            lines = [f"{given[0] * unit} bytes were allocated, {n * unit} are freed"]
            k.report(kind, f"BUG: kmock: {kind} in gen_pool_free()", lines=lines, stacks=stacks)
        chunk.avail += given[0] << pool.min_alloc_order

    def _foreign(self, pool: gen_pool, addr: int) -> None:
        k = self.kernel
        stacks = {"access": k.capture()}
        owner = next((p for p in self.pools if p is not pool and any(c.holds(addr) for c in p.chunks)), None)
        if owner is not None:
            stacks["its pool created"] = owner.stack
        k.bug("alloc-free-node-mixup", f"{_FILE}:518", stacks=stacks)

    def destroy(self, pool: gen_pool) -> None:
        """``gen_pool_destroy()``: everything must have come back."""
        k = self.kernel
        out = [given for chunk in pool.chunks for given in chunk.taken.values()]
        self.pools.remove(pool)
        if out:
            stacks = {"access": k.capture(), "allocated": out[0][1]}
            k.bug("genpool-destroy-busy", f"{_FILE}:255", stacks=stacks)

    def phys(self, pool: gen_pool, addr: int) -> int:
        """``gen_pool_virt_to_phys()``: all ones where the address is not the pool's."""
        chunk = next((c for c in pool.chunks if c.holds(int(addr))), None)
        return chunk.phys + int(addr) - int(chunk.virt) if chunk is not None else (1 << 64) - 1

    def registrations(self) -> Iterator[Registration]:
        """The pools that nobody destroyed."""
        for pool in self.pools:
            yield Registration("a gen_pool", pool.stack, "gen_pool_destroy", "leak-at-remove")
