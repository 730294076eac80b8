"""Lock classes: all locks that one place in the source defines or initialises (``struct lock_class``)."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Final

from kmock.sanitizers import lock_usage
from kmock.stack import HERE, Frame, line_of

if TYPE_CHECKING:
    from types import CodeType

    from kmock.sanitizers.lock_graph import Edge
    from kmock.stack import Stack

Site = tuple["CodeType", int]
"""A place in the driver's code: code object and instruction offset."""
MAX_LOCKDEP_SUBCLASSES: Final = 8
_CALL = re.compile(r"\w+\((.*)\)")
_PLAIN = re.compile(r"&?[\w.\[\]]+")


def definition_site(skip: int = 2) -> Site:
    """Return the driver's place that is calling, ``skip`` frames up or further: where a lock is defined."""
    frame = sys._getframe(skip)
    while frame.f_code.co_filename.startswith(HERE) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def argument_at(site: Site, n: int = 0) -> str:
    """Return the text of argument ``n`` of the call in the line at ``site``, as C would stringify it; may be empty."""
    code, at = site
    found = _CALL.search(Frame(code.co_filename, line_of(code, at), code.co_name).source)
    arguments = found[1].split(",") if found else []
    if n >= len(arguments):
        return ""
    plain = _PLAIN.match(arguments[n].strip())
    text = plain[0].removeprefix("&") if plain else ""
    return "&" + text.replace(".", "->") if "." in text else text


def name_at(site: Site) -> str:
    """Return what C would call a lock that is initialised there: the text of the macro's argument."""
    return argument_at(site) or "lock"


class LockClass:
    """All locks of one name and place, the contexts in which they were taken, and what was taken inside and around."""

    __slots__ = ("after", "before", "checked", "key", "marks", "name", "subclass", "unseen", "usage", "version", "wait")

    def __init__(self, name: str, key: object, subclass: int = 0, *, version: int = 1, wait: int = 0) -> None:
        self.name = name + (f"#{version}" if version > 1 else "") + (f"/{subclass}" if subclass else "")
        self.key = key
        self.subclass = subclass
        self.version = version
        """How many classes of that name there were before, and one."""
        self.wait = wait
        """The inner wait type: what may be taken while a lock of the class is held."""
        self.unseen = False
        """Whether Linux has no map for the callback that the class stands for, and so says nothing."""
        self.checked = True
        """Whether the order in which its locks are taken is looked at."""
        self.usage = 0
        self.marks: dict[int, Stack] = {}
        """Where each usage bit was first seen."""
        self.after: dict[LockClass, Edge] = {}
        """Classes that were taken while one of this was held."""
        self.before: dict[LockClass, Edge] = {}

    @property
    def letters(self) -> str:
        """``+.+.``: how writers and readers use it against hard and soft interrupts."""
        return lock_usage.letters(self.usage)

    def __repr__(self) -> str:
        return f"<lock class {self.name}>"


class lock_class_key:
    """``struct lock_class_key``: makes the locks it is given to a class of their own."""

    __slots__ = ("__weakref__", "registered")
    C_SIZE: ClassVar[int] = 16

    def __init__(self) -> None:
        self.registered: Any = None
        """The kernel where ``lockdep_register_key()`` was called for it."""


NO_VALIDATE: Final = lock_class_key()
"""``__lockdep_no_validate__``: locks of this key are not looked at."""
