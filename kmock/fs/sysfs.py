"""``/sys``: directories of objects, attributes that show and take text, links (``fs/sysfs/``, ``fs/kernfs/``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kmock.fs.files import File

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.machine import Kernel

S_IRUGO = 0o444
S_IWUGO = 0o222


class Link:
    """A symbolic link to a directory."""

    __slots__ = ("target",)

    def __init__(self, target: Directory) -> None:
        self.target = target


class Directory:
    """One directory."""

    __slots__ = ("entries", "name", "parent")

    def __init__(self, name: str, parent: Directory | None) -> None:
        self.name = name
        self.parent = parent
        self.entries: dict[str, Directory | Link | File] = {}

    @property
    def path(self) -> str:
        """Its path below ``/sys``, empty for ``/sys`` itself."""
        return f"{self.parent.path}/{self.name}" if self.parent is not None else ""

    def child(self, name: str) -> Directory:
        """The directory ``name`` in it, made if it isn't there."""
        found = self.entries.get(name)
        if not isinstance(found, Directory):
            found = self.entries[name] = Directory(name, self)
        return found

    def walk(self) -> Iterator[str]:
        """The paths of all files below."""
        for name, entry in self.entries.items():
            if isinstance(entry, Directory):
                yield from entry.walk()
            elif isinstance(entry, File):
                yield f"/sys{self.path}/{name}"


class Sysfs:
    """``/sys`` of one machine, as far as objects are registered there."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.root = Directory("", None)

    def directory(self, path: str) -> Directory:
        """The directory at ``path`` below ``/sys``, made if it isn't there."""
        found = self.root
        for name in path.split("/"):
            found = found.child(name)
        return found

    def create_dir(self, parent: Directory, name: str) -> Directory | None:
        """``sysfs_create_dir_ns()``: None where the name is taken."""
        if self._taken(parent, name):
            return None
        made = parent.entries[name] = Directory(name, parent)
        return made

    def create_file(
        self,
        parent: Directory,
        name: str,
        read: Callable[..., str] | None = None,
        write: Callable[..., int | None] | None = None,
    ) -> int:
        """``sysfs_create_file()``: 0 or -EEXIST."""
        if self._taken(parent, name):
            return -errno.EEXIST
        parent.entries[name] = File(name, read, write)
        return 0

    def create_link(self, parent: Directory, target: Directory, name: str) -> int:
        """``sysfs_create_link()``: 0 or -EEXIST."""
        if self._taken(parent, name):
            return -errno.EEXIST
        parent.entries[name] = Link(target)
        return 0

    def _taken(self, parent: Directory, name: str) -> bool:
        if name not in parent.entries:
            return False
        k = self.kernel
        text = f"sysfs: cannot create duplicate filename '{parent.path}/{name}'"
        k.report("registration-twice", text, key=(parent, name))
        return True

    def remove(self, parent: Directory, name: str) -> None:
        """Remove a file, a link, or a directory with what is in it; nothing if it isn't there."""
        parent.entries.pop(name, None)

    def file(self, path: str) -> File | None:
        """The file at ``path``, which begins with ``/sys/``; links are followed."""
        found: Directory | Link | File | None = self.root
        for name in path.removeprefix("/sys/").split("/"):
            if isinstance(found, Link):
                found = found.target
            if not isinstance(found, Directory):
                return None
            found = (found.parent or found) if name == ".." else found.entries.get(name)
        return found if isinstance(found, File) else None
