"""``/dev``: which path stands for which device (``drivers/base/devtmpfs.c``)."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from kmock.fs.file import Inode

if TYPE_CHECKING:
    from kmock.machine import Kernel

FIRST_INO = 2


class DevTmpFs:
    """The device nodes of one machine, by path. Drivers make theirs; :meth:`mknod` makes one by hand."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.nodes: dict[str, Inode] = {}
        self._inodes = FIRST_INO

    def mknod(self, path: str, dev: int, mode: int = 0o600) -> Inode:
        """Make a character device node at ``path``; one that is there already is replaced."""
        self._inodes += 1
        node = self.nodes[full(path)] = Inode(self._inodes, stat.S_IFCHR | mode, dev)
        return node

    def unlink(self, path: str) -> None:
        """Remove a node; files that are open stay so."""
        self.nodes.pop(full(path), None)

    def forget(self, dev: int, count: int) -> None:
        """Remove the nodes of the devices ``[dev, dev + count)``."""
        for path in [path for path, node in self.nodes.items() if dev <= node.i_rdev < dev + count]:
            del self.nodes[path]

    def lookup(self, path: str) -> Inode | None:
        """Return the node at ``path``, made on the way if udev would have made it by now."""
        path = full(path)
        node = self.nodes.get(path)
        if node is None and path.startswith("/dev/"):
            dev = self.kernel.chrdevs.number_of(path.removeprefix("/dev/"))
            return None if dev is None else self.mknod(path, dev)
        return node


def full(path: str) -> str:
    """``scull0`` and ``/dev/scull0`` are the same node."""
    return path if path.startswith("/") else f"/dev/{path}"
