"""Secrets that are freed uncleared: what came from the same line as memory that ``kfree_sensitive()`` took back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.sanitizers.describe import origin_stacks
from kmock.stack import user_frames

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.slab import SlabObject
    from kmock.stack import Frame


class Sensitive:
    """The places of one machine's drivers that allocate memory for secrets. Made on machines that give advice."""

    __slots__ = ("_places", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._places: set[tuple[str, int]] = set()

    def learn(self, o: SlabObject) -> None:
        """The object is cleared and freed: others from the same place hold secrets too."""
        self._places.update((frame.file, frame.line) for frame in _place(o))
        # From now on the cache's objects come by on their way out.
        o.slab.cache.special = True

    def check(self, o: SlabObject) -> None:
        """The object is being freed: advise against it if it holds a secret."""
        k = self.kernel
        if not any((frame.file, frame.line) in self._places for frame in _place(o)):
            return
        if not any(k.ram.bytes[o.phys : o.phys + o.size]):
            return
        stack = k.capture()
        k.report(
            "secret-not-zeroed",
            f"BUG: kmock: secret-not-zeroed in {k.symbol(stack)}",
            lines=["memory from the same place is freed with kfree_sensitive() elsewhere; this was not cleared"],
            stacks={"access": stack, **origin_stacks(o)},
            object=k.kasan.info(o, o.addr),
            key=("sensitive", k.symbol(stack)),
        )


def _place(o: SlabObject) -> list[Frame]:
    return user_frames(o.alloc_stack)[:1]
