"""Freed objects kept back, so that a stale pointer meets freed memory and not a new owner (``mm/kasan/quarantine.c``).

Each CPU queues what it frees; a queue that passes a mebibyte moves to the global quarantine, whose oldest
batch is released by the next allocation that may sleep, once the whole exceeds a share of RAM.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kmock.mm.slab import KmemCache, SlabObject

PERCPU_SIZE: Final = 1 << 20
FRACTION: Final = 32
BATCHES: Final = 1024


class Queue:
    """Freed objects, oldest first, and how many bytes they hold back."""

    __slots__ = ("bytes", "objects")

    def __init__(self) -> None:
        self.objects: list[SlabObject] = []
        self.bytes = 0


class Quarantine:
    """All objects kept back on one machine."""

    __slots__ = ("batch_size", "batches", "limit", "queues", "size")

    def __init__(self, ram: int, cpus: int) -> None:
        total = ram // FRACTION
        self.limit = max(0, total - PERCPU_SIZE * cpus)
        self.batch_size = max(PERCPU_SIZE, 2 * total // BATCHES)
        self.queues: dict[int, Queue] = {}
        """By CPU."""
        self.batches: deque[Queue] = deque()
        self.size = 0
        """Bytes in ``batches``."""

    def queue(self, cpu: int) -> Queue:
        """Return the queue of a CPU."""
        return self.queues.setdefault(cpu, Queue())

    def move(self, queue: Queue) -> None:
        """Move a full queue to the global quarantine."""
        if not self.batches or self.batches[-1].bytes >= self.batch_size:
            self.batches.append(Queue())
        batch = self.batches[-1]
        batch.objects += queue.objects
        batch.bytes += queue.bytes
        self.size += queue.bytes
        queue.objects = []
        queue.bytes = 0

    def reduce(self) -> list[SlabObject]:
        """Give up the oldest batch; the caller frees its objects."""
        batch = self.batches.popleft()
        self.size -= batch.bytes
        return batch.objects

    def remove_cache(self, cache: KmemCache) -> list[SlabObject]:
        """Give up every object of ``cache``; the caller frees them."""
        out: list[SlabObject] = []
        for queue in self.queues.values():
            _split(queue, cache, out)
        for batch in self.batches:
            self.size -= _split(batch, cache, out)
        return out


def _split(queue: Queue, cache: KmemCache, out: list[SlabObject]) -> int:
    """Move the objects of ``cache`` from ``queue`` to ``out``; return their bytes."""
    if not any(o.slab.cache is cache for o in queue.objects):
        return 0
    mine = [o for o in queue.objects if o.slab.cache is cache]
    queue.objects = [o for o in queue.objects if o.slab.cache is not cache]
    n = len(mine) * cache.size
    queue.bytes -= n
    out += mine
    return n
