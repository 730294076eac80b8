"""Chains of locks that were held at a time (``struct lock_chain`` of ``kernel/locking/lockdep.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.sanitizers.lock_class import LockClass


class Chain:
    """The locks of a task from the outermost to one of its locks, by class and by how each was taken.

    Chains make a tree: each knows those with one lock more. So a chain is found from the one before by a single look-up,
    where the kernel has a hash that it carries along.
    """

    __slots__ = ("checked", "cls", "context", "following", "mode")

    def __init__(self, cls: LockClass | None, mode: int, context: int) -> None:
        self.cls: LockClass = cls  # type: ignore[assignment]  # only the root has none, and nobody asks it
        """The class of the innermost lock."""
        self.mode = mode
        """Whether that was taken by a writer, a reader, or a reader that may recurse: 0 to 2."""
        self.context = context
        """Bit 0 in a softirq, bit 1 in a hard interrupt."""
        self.checked = False
        """Whether the innermost lock was looked at as taken inside the others, and was all right."""
        self.following: dict[object, Chain] = {}

    def then(self, cls: LockClass, mode: int) -> Chain:
        """Return the chain with one more lock."""
        key: object = (cls, mode) if mode else cls
        chain = self.following.get(key)
        if chain is None:
            chain = self.following[key] = Chain(cls, mode, self.context)
        return chain

    def all(self) -> Iterator[tuple[Chain, ...]]:
        """Visit every chain that was looked at below this one, as the chains that lead there."""
        for chain in self.following.values():
            if chain.checked:
                yield (chain,)
            yield from ((chain, *rest) for rest in chain.all())

    def forget(self, key: object) -> None:
        """Drop the chains with a class of ``key`` in them."""
        for at in [at for at, chain in self.following.items() if chain.cls.key is key]:
            del self.following[at]
        for chain in self.following.values():
            chain.forget(key)
