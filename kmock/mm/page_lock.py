"""The page lock: ``PG_locked``, and who sleeps for it (``mm/filemap.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel.hang import Wait
from kmock.kernel.task import TASK_RUNNING, TASK_UNINTERRUPTIBLE, Task
from kmock.mm.page import Page, PG_locked

if TYPE_CHECKING:
    from kmock.machine import Kernel


class PageLocks:
    """Tasks that wait for locked pages of one kernel."""

    __slots__ = ("_waiters", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._waiters: dict[Page, list[Task]] = {}

    def trylock(self, page: Page) -> bool:
        """``trylock_page()``: whether the lock was free."""
        head = page.compound_head
        if head.test(PG_locked):
            return False
        head.set(PG_locked)
        return True

    def lock(self, page: Page, kind: str = "sleep-in-atomic") -> None:
        """``lock_page()``: sleep until the lock is free, and take it; ``kind`` is what that is where it must not be."""
        k = self.kernel
        head = page.compound_head
        k.atomic_sleep.might_sleep("include/linux/pagemap.h:1021", kind)
        task = k.current
        while not self.trylock(head):
            waiters = self._waiters.setdefault(head, [])
            waiters.append(task)
            try:
                task.state = TASK_UNINTERRUPTIBLE
                k.sched.schedule(Wait(f"for the lock of page {head.pfn:#x}"))
            finally:
                task.state = TASK_RUNNING
                waiters.remove(task)

    def unlock(self, page: Page) -> None:
        """``unlock_page()``: BUG for a page that is not locked; wakes who waits."""
        head = page.compound_head
        k = self.kernel
        bad = k.page_alloc.bad
        if not head.test(PG_locked):
            with bad.caused_by("pgcache-unlock-unlocked", "unlock_page", page):
                if k.config.debug_vm:
                    bad.bug("", "mm/filemap.c:1552", head, "!folio_test_locked(folio)", "VM_BUG_ON_FOLIO")
        head.clear(PG_locked)
        for task in self._waiters.get(head, ()):
            k.sched.wake(task, TASK_UNINTERRUPTIBLE)
