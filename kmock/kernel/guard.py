"""Guards: what is taken for the length of a scope (``include/linux/cleanup.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.stack import result_dropped

if TYPE_CHECKING:
    from collections.abc import Callable


class Guard:
    """A class of guards: how to take something, and how to give it back when the scope ends.

    Called with what C gives to the guard it returns the scope, a context manager.
    """

    __slots__ = ("conditional", "keeps", "lock", "name", "unlock")

    def __init__(
        self,
        name: str,
        lock: Callable[..., Any],
        unlock: Callable[..., object],
        *,
        keeps: bool = False,
        conditional: Callable[[Any], bool] | None = None,
    ) -> None:
        self.name = name
        self.lock = lock
        self.unlock = unlock
        self.keeps = keeps
        """Whether what ``lock`` returns goes to ``unlock``: saved flags."""
        self.conditional = conditional
        """Whether it was taken, from what ``lock`` returned; None for what always is."""

    def __call__(self, *args: Any) -> Scope:
        """Return the scope in which it is held; TypeError where nobody will enter it."""
        if result_dropped():
            raise TypeError(f"a guard lasts as long as its block: write `with guard({self.name})(...):`")
        return Scope(self, args)

    def __repr__(self) -> str:
        return f"<guard {self.name}>"


class Scope:
    """One use of a guard. As a context manager it gives whether it was taken, which only a conditional one may not be."""

    __slots__ = ("_args", "_got", "_guard", "_taken")

    def __init__(self, guard: Guard, args: tuple[Any, ...]) -> None:
        self._guard = guard
        self._args = args
        self._got: Any = None
        self._taken = False

    def __enter__(self) -> bool:
        guard = self._guard
        self._got = guard.lock(*self._args)
        self._taken = guard.conditional is None or guard.conditional(self._got)
        return self._taken

    def __exit__(self, *exc: object) -> None:
        if self._taken:
            self._taken = False
            kept = (self._got,) if self._guard.keeps else ()
            self._guard.unlock(*self._args, *kept)
