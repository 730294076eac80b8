"""Managed resources: what a device gives back by itself when its driver goes (``drivers/base/devres.c``).

Each is a node on its device's list and goes in the reverse order of its coming. A node lies in simulated memory, its
list head before the data, as in the kernel: that is what ``devm_kmalloc()`` returns a pointer into.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from kmock.lang.ptr import NULL, Ptr
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.slub import NUMA_NO_NODE
from kmock.sanitizers.object import SCAN_HELD

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.drivers.core import device
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation

    Release = Callable[[Any, Any], object]
    Match = Callable[[Any, Any, Any], Any]

HEADER: Final = 40
"""sizeof(struct devres): list head, release, name, size; the data comes behind it."""


class Node:
    """``struct devres``: one resource of a device."""

    __slots__ = ("base", "dev", "name", "release", "res", "size")

    def __init__(self, base: Ptr, release: Release, size: int, name: str) -> None:
        self.base = base
        self.release = release
        self.size = size
        self.name = name
        self.res: Any = base + HEADER
        """What the release and match functions are called with: the data, or the object that stands for it."""
        self.dev: device | None = None

    @property
    def data(self) -> Ptr:
        """Where the data lies."""
        return self.base + HEADER

    @property
    def memory(self) -> Allocation:
        """The memory of the node."""
        about = self.base.origin
        assert about is not None
        return about


class Devres:
    """The managed resources of one machine's devices."""

    __slots__ = ("kernel", "nodes")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.nodes: dict[int, Node] = {}
        """By the address of the data."""

    # -- nodes ----------------------------------------------------------------------------------------

    def alloc(self, release: Release, size: int, gfp: int, node: int = NUMA_NO_NODE, name: str = "") -> Node | None:
        """``__devres_alloc_node()``: a node with ``size`` zeroed bytes of data, or None."""
        return self.alloc_dr(release, size, gfp | GFP_ZERO, node, name)

    def alloc_dr(self, release: Release, size: int, gfp: int, node: int, name: str) -> Node | None:
        """``alloc_dr()``: the same, zeroed only if ``gfp`` says so."""
        if size + HEADER >= 1 << 64:
            return None
        base = self.kernel.slab.kmalloc(HEADER + size, gfp, node)
        if not base:
            return None
        made = Node(base, release, size, name)
        made.memory.mark_written(0, HEADER)
        self.nodes[int(made.data)] = made
        return made

    def manage(self, dev: device, release: Release, res: Any, size: int, gfp: int = GFP_KERNEL) -> bool:
        """Let ``dev`` own ``res``, which ``release(dev, res)`` gives back; False if there is no memory.

        ``size`` is what the kernel stores of it.
        """
        made = self.alloc(release, size, gfp, name=release.__name__)
        if made is None:
            return False
        made.res = res
        self.add(dev, made)
        return True

    def at(self, data: int) -> Node:
        """The node that the pointer of ``devres_alloc()`` stands for."""
        return self.nodes[int(data)]

    def free(self, node: Node) -> None:
        """``devres_free()``."""
        k = self.kernel
        if node.dev is not None:
            k.bug("devm-mixed-double-release", "drivers/base/devres.c:254", key=(node, "free"))
        del self.nodes[int(node.data)]
        self._give_back(node)

    def _give_back(self, node: Node) -> None:
        k = self.kernel
        if node.memory.live:
            k.slab.disclaim(node.memory)
            k.slab.kfree(node.base)

    # -- a device's list --------------------------------------------------------------------------------

    def add(self, dev: device, node: Node) -> None:
        """``devres_add()``: from now on the device answers for it."""
        if node.dev is not None:
            self.kernel.bug("devm-mixed-double-release", "drivers/base/devres.c:128", key=(node, "add"))
        _list(dev).append(node)
        self._belongs(node, dev)

    def _belongs(self, node: Node, dev: device | None) -> None:
        node.dev = dev
        if dev is not None:
            node.memory.scan |= SCAN_HELD
        else:
            node.memory.scan &= ~SCAN_HELD

    def find(self, dev: device, release: Release, match: Match | None = None, data: Any = None) -> Node | None:
        """``find_dr()``: the youngest node with this release function that ``match`` agrees to."""
        return next(
            (n for n in reversed(_list(dev)) if n.release == release and (not match or match(dev, n.res, data))), None
        )

    def remove(self, dev: device, release: Release, match: Match | None = None, data: Any = None) -> Node | None:
        """``devres_remove()``: take a node off the device's list."""
        node = self.find(dev, release, match, data)
        if node is not None:
            _list(dev).remove(node)
            self._belongs(node, None)
        return node

    def destroy(self, dev: device, release: Release, match: Match | None = None, data: Any = None) -> int:
        """``devres_destroy()``: forget a node, its release function uncalled; 0 or -ENOENT."""
        node = self.remove(dev, release, match, data)
        if node is None:
            return -errno.ENOENT
        self.free(node)
        return 0

    def release(self, dev: device, release: Release, match: Match | None = None, data: Any = None) -> int:
        """``devres_release()``: release a resource now; 0 or -ENOENT."""
        node = self.remove(dev, release, match, data)
        if node is None:
            return -errno.ENOENT
        release(dev, node.res)
        self.free(node)
        return 0

    # -- all of it --------------------------------------------------------------------------------------

    def release_all(self, dev: device) -> int:
        """``devres_release_all()``: release everything, the youngest first; how many there were, or -ENODEV."""
        k = self.kernel
        if dev.devres_head is None:
            k.warn("devm-before-probe", "drivers/base/devres.c:521", "devres_release_all", key=dev)
            return -errno.ENODEV
        todo, dev.devres_head = dev.devres_head, []
        count = self._release_nodes(dev, todo)
        k.devices.unbind_simple(dev)
        return count

    def _release_nodes(self, dev: device, todo: list[Node]) -> int:
        for node in todo:
            self._belongs(node, None)
        for node in reversed(todo):
            node.release(dev, node.res)
            self.free(node)
        return len(todo)


def _list(dev: device) -> list[Node]:
    if dev.devres_head is None:
        dev.devres_head = []  # the kernel follows the NULL of an uninitialised list head here
    return dev.devres_head


def null_or_data(node: Node | None) -> Ptr:
    """The pointer that drivers get for a node."""
    return node.data if node is not None else NULL
