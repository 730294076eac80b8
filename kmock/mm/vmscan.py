"""Reclaim: asking caches to give pages back (``mm/vmscan.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from kmock.kernel.task import PF_MEMALLOC

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.kernel.task import Task
    from kmock.machine import Kernel

SHRINK_STOP: Final = (1 << 64) - 1
SHRINK_EMPTY: Final = (1 << 64) - 2
SHRINK_BATCH: Final = 128
DEFAULT_SEEKS: Final = 2
DEF_PRIORITY: Final = 12
SWAP_CLUSTER_MAX: Final = 32


class shrink_control:
    """What a shrinker is asked for: ``nr_to_scan`` objects, on behalf of an allocation with ``gfp_mask``."""

    __slots__ = ("gfp_mask", "memcg", "nid", "nr_scanned", "nr_to_scan")

    def __init__(self, gfp_mask: int, nid: int = 0, nr_to_scan: int = 0) -> None:
        self.gfp_mask = gfp_mask
        self.nid = nid
        self.nr_to_scan = nr_to_scan
        self.nr_scanned = nr_to_scan
        self.memcg = None


class shrinker:
    """``struct shrinker``: a cache that can give memory back.

    ``count_objects(shrinker, sc)`` says how many objects could be freed, ``scan_objects(shrinker, sc)`` frees
    up to ``sc.nr_to_scan`` and returns how many, or ``SHRINK_STOP``.
    """

    __slots__ = ("batch", "count_objects", "flags", "nr_deferred", "private_data", "scan_objects", "seeks")

    def __init__(
        self,
        *,
        count_objects: Callable[[shrinker, shrink_control], int],
        scan_objects: Callable[[shrinker, shrink_control], int],
        seeks: int = DEFAULT_SEEKS,
        batch: int = 0,
        flags: int = 0,
        private_data: Any = None,
    ) -> None:
        self.count_objects = count_objects
        self.scan_objects = scan_objects
        self.seeks = seeks
        self.batch = batch
        self.flags = flags
        self.private_data = private_data
        self.nr_deferred = 0

    def __repr__(self) -> str:
        return getattr(self.scan_objects, "__name__", "shrinker")


class Vmscan:
    """Registered shrinkers, and reclaim on behalf of who needs pages now."""

    __slots__ = ("_running", "kernel", "shrinkers")

    def __init__(self, kernel: Kernel, running: dict[Task, shrinker]) -> None:
        self.kernel = kernel
        self.shrinkers: list[shrinker] = []
        self._running = running

    def register(self, added: shrinker) -> int:
        """``register_shrinker()``: 0, or -ENOMEM."""
        faults = self.kernel.faults
        # One counter for each node (prealloc_shrinker()).
        if faults.active and faults.should_fail_kmalloc(8 * len(self.kernel.page_alloc.zones.nodes)):
            return -errno.ENOMEM
        self.shrinkers.append(added)
        return 0

    def unregister(self, gone: shrinker) -> None:
        """``unregister_shrinker()``; nothing happens for one that is not registered."""
        if gone in self.shrinkers:
            self.shrinkers.remove(gone)

    def try_to_free_pages(self, gfp: int, nid: int) -> int:
        """Direct reclaim in the running task's context; return how many objects were freed."""
        task = self.kernel.cpu.task
        task.flags |= PF_MEMALLOC
        freed = 0
        try:
            for priority in range(DEF_PRIORITY, -1, -1):
                freed += self.shrink_slab(gfp, nid, priority)
                if freed >= SWAP_CLUSTER_MAX:
                    break
        finally:
            task.flags &= ~PF_MEMALLOC
        return freed

    def shrink_slab(self, gfp: int, nid: int, priority: int) -> int:
        """Ask every shrinker for its share at ``priority`` (12 little, 0 all); return the objects freed."""
        return sum(self._shrink(one, shrink_control(gfp, nid), priority) for one in [*self.shrinkers])

    def drop_slab(self) -> None:
        """``echo 2 > /proc/sys/vm/drop_caches``: ask until hardly anything comes."""
        gfp = 0xCC0
        while self.shrink_slab(gfp, 0, 0) > len(self.shrinkers):
            pass

    def _shrink(self, one: shrinker, sc: shrink_control, priority: int) -> int:
        task = self.kernel.cpu.task
        outer = self._running.get(task)
        self._running[task] = one
        try:
            with self.kernel.page_alloc.fs_reclaim.reclaiming():
                return self._do_shrink(one, sc, priority)
        finally:
            if outer is None:
                del self._running[task]
            else:
                self._running[task] = outer

    @staticmethod
    def _do_shrink(one: shrinker, sc: shrink_control, priority: int) -> int:
        freeable = one.count_objects(one, sc)
        if freeable in (0, SHRINK_EMPTY):
            return 0
        batch = one.batch or SHRINK_BATCH
        deferred, one.nr_deferred = one.nr_deferred, 0
        delta = (freeable >> priority) * 4 // one.seeks if one.seeks else freeable // 2
        total = min((deferred >> priority) + delta, 2 * freeable)
        freed = scanned = 0
        while total >= batch or total >= freeable:
            sc.nr_to_scan = sc.nr_scanned = min(batch, total)
            got = one.scan_objects(one, sc)
            if got == SHRINK_STOP:
                break
            freed += got
            total -= sc.nr_scanned
            scanned += sc.nr_scanned
        one.nr_deferred += min(max(deferred + delta - scanned, 0), 2 * freeable)
        return freed
