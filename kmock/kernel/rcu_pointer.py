"""Pointers under RCU: how they were published, who has fetched them, and that they are not freed meanwhile.

What the compiler's ``__rcu`` and a code review watch over in C: the grace period alone does not know
which object it is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.lang.ptr import origin_of
from kmock.stack import user_frames

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack


class RcuPointers:
    """What one kernel knows of pointers that readers fetch."""

    __slots__ = ("_fetched", "_published", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._published: set[int] = set()
        """Allocations, by number, that a pointer was published to in the right way."""
        self._fetched: dict[Task, dict[int, Stack]] = {}
        """Where tasks that are reading fetched pointers, by the number of the allocation."""

    def publish(self, value: Any) -> None:
        """``value`` is being published with what orders the writing of its contents before."""
        about = _origin(value)
        if about is not None:
            self._published.add(about.seq)

    def fetch(self, value: Any) -> None:
        """A reader fetches ``value``: it may use what it points to until its section ends."""
        about = _origin(value)
        if about is None or not about.live:
            return
        k = self.kernel
        if about.seq not in self._published and about.area == "slab":
            self._published_plainly(about)
        if k.current.rcu_depth and about.phys >= 0:
            self._fetched.setdefault(k.current, {}).setdefault(about.seq, k.capture())
            k.mem.watch(about, self._freed)

    def left(self, task: Task) -> None:
        """``task`` has left its outermost section."""
        if self._fetched:
            self._fetched.pop(task, None)

    def _published_plainly(self, about: Allocation) -> None:
        k = self.kernel
        self._published.add(about.seq)
        stack = k.capture()
        k.report(
            "rcu-publish-plain",
            f"BUG: kmock: rcu-publish-plain in {k.symbol(stack)}",
            lines=[f"the {about.what} was made reachable for readers by a plain store: its contents may be seen later"],
            stacks={"access": stack, "allocated": about.alloc_stack},
            object=k.kasan.info(about, about.addr),
            key=(about, "rcu-publish"),
        )

    def _freed(self, about: Allocation) -> None:
        """``about`` is being freed."""
        k = self.kernel
        reader = next((t for t, seen in self._fetched.items() if t is not k.current and about.seq in seen), None)
        if reader is None:
            return
        stack, fetched = k.capture(), self._fetched[reader][about.seq]
        place = user_frames(fetched)
        where = place[0].short if place else "an unknown place"
        k.report(
            "rcu-free-without-grace",
            f"BUG: kmock: rcu-free-without-grace in {k.symbol(stack)}",
            lines=[
                f"{reader!r} fetched the pointer at {where} and is still between rcu_read_lock() and rcu_read_unlock()"
            ],
            stacks={"access": stack, "fetched": fetched, "allocated": about.alloc_stack},
            object=k.kasan.info(about, about.addr),
            key=(about, "slab", False),
        )


def _origin(value: Any) -> Allocation | None:
    origin = origin_of(value)
    return origin if origin is not None and origin.addr else None
