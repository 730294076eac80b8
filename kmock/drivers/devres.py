"""Managed resources: what a device gives back by itself when its driver goes (``drivers/base/devres.c``).

Each is a node on its device's list and goes in the reverse order of its coming. A node lies in simulated memory, its
list head before the data, as in the kernel: that is what ``devm_kmalloc()`` returns a pointer into.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.slab import SlabObject
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
SIZEOF_GROUP: Final = 96
_RELEASED_BEFORE: Final = frozenset((
    "irq-free-wrong", "iounmap-double", "iounmap-bad", "region-release-bad", "page-double-free", "slab-double-free",
    "percpu-free-bad", "percpu-double-free", "dma-unmap-unallocated",
))  # fmt: skip


class Node:
    """``struct devres``: one resource of a device."""

    __slots__ = ("dev", "memory", "name", "release", "size", "thing")

    def __init__(self, memory: Allocation, release: Release, size: int, name: str) -> None:
        self.memory = memory
        self.release = release
        self.size = size
        self.name = name
        self.thing: Any = None
        """The object that stands for the data, if it is one of the kernel's own."""
        self.dev: device | None = None

    @property
    def base(self) -> Ptr:
        """Where the node lies. No pointer is kept: it would be one more that leads to the memory."""
        return make_ptr(self.memory.addr, self.memory)

    @property
    def data(self) -> Ptr:
        """Where the data lies."""
        return self.base + HEADER

    @property
    def res(self) -> Any:
        """What the release and match functions are called with: the data, or the object that stands for it."""
        return self.data if self.thing is None else self.thing

    @res.setter
    def res(self, thing: Any) -> None:
        self.thing = thing


class Group:
    """``struct devres_group``: the resources between its two markers on a device's list."""

    __slots__ = ("base", "closed", "color", "id", "open")

    def __init__(self, base: Ptr, id: object) -> None:
        self.base = base
        self.id = base if id is None or id == 0 else id
        self.open = Marker(self)
        self.closed: Marker | None = None
        self.color = 0


class Marker:
    """The beginning or the end of a group on a device's list."""

    __slots__ = ("group",)
    release = None

    def __init__(self, group: Group) -> None:
        self.group = group


class Devres:
    """The managed resources of one machine's devices."""

    __slots__ = ("kernel", "nodes", "releasing")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.nodes: dict[int, Node] = {}
        """By the address of the data."""
        self.releasing = 0
        """How many automatic releases run, one in the other."""

    # -- nodes ----------------------------------------------------------------------------------------

    def alloc(self, release: Release, size: int, gfp: int, node: int = NUMA_NO_NODE, name: str = "") -> Node | None:
        """``__devres_alloc_node()``: a node with ``size`` zeroed bytes of data, or None."""
        return self.alloc_dr(release, size, gfp | GFP_ZERO, node, name)

    def alloc_dr(self, release: Release, size: int, gfp: int, node: int, name: str) -> Node | None:
        """``alloc_dr()``: the same, zeroed only if ``gfp`` says so."""
        if size + HEADER >= 1 << 64:
            return None
        k = self.kernel
        base = k.slab.kmalloc(HEADER + size, gfp, node)
        if not base:
            return None
        made = Node(_memory(base), release, size, name)
        if not gfp & GFP_ZERO:
            k.mem.fill(base, 0, 0, HEADER)
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

    def replace(self, dev: device, old: Node, new: Node) -> None:
        """``replace_dr()``: let ``new`` take the place of ``old``."""
        entries = _list(dev)
        entries[entries.index(old)] = new
        self._belongs(old, None)
        self._belongs(new, dev)

    def find(self, dev: device, release: Release, match: Match | None = None, data: Any = None) -> Node | None:
        """``find_dr()``: the youngest node with this release function that ``match`` agrees to."""
        for node in reversed(_list(dev)):
            if isinstance(node, Node) and node.release == release and (not match or match(dev, node.res, data)):
                return node
        return None

    def each(self, dev: device, release: Release, match: Match | None, data: Any, do: Callable[..., object]) -> None:
        """``devres_for_each_res()``: call ``do(dev, res)`` for each node that :meth:`find` could find."""
        for node in _list(dev)[::-1]:
            if isinstance(node, Node) and node.release == release and (not match or match(dev, node.res, data)):
                do(dev, node.res)

    def get(self, dev: device, new: Node, match: Match | None, data: Any) -> Node:
        """``devres_get()``: the node that is there, and ``new`` is freed; else ``new``, which is added."""
        found = self.find(dev, new.release, match, data)
        if found is not None:
            self.free(new)
            return found
        self.add(dev, new)
        return new

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
        return self._release_nodes(dev, self._remove_nodes(dev, 0, len(dev.devres_head)))

    def _remove_nodes(self, dev: device, first: int, end: int) -> list[Node | Group]:
        """``remove_nodes()``: take the nodes in ``[first, end)`` off, and the groups that lie in it as a whole."""
        entries = _list(dev)
        inside = entries[first:end]
        markers = [m for m in inside if isinstance(m, Marker)]
        todo: list[Node | Group] = [n for n in inside if isinstance(n, Node)]
        for marker in markers:
            marker.group.color = 0
        for marker in markers:
            group = marker.group
            group.color += 1 if group.closed is not None else 2
            if group.color == 2:
                todo.append(group)
        gone = [m for m in markers if m.group.color == 2]
        entries[first:end] = [m for m in markers if m not in gone]
        for node in todo:
            if isinstance(node, Node):
                node.dev = None
        return todo

    def _release_nodes(self, dev: device, todo: list[Node | Group]) -> int:
        """``release_nodes()``: the youngest first; how many resources there were."""
        self.releasing += 1
        try:
            for node in reversed(todo):
                if isinstance(node, Node):
                    self._release_node(dev, node)
                else:
                    self.kernel.slab.kfree(node.base)
        finally:
            self.releasing -= 1
        return sum(isinstance(node, Node) for node in todo)

    def _release_node(self, dev: device, node: Node) -> None:
        node.release(dev, node.res)
        if isinstance(node.memory, SlabObject):
            node.memory.fate = "managed"
        self.free(node)

    @staticmethod
    def instead(kind: str) -> str:
        """The kind of a finding that an automatic release makes: what it releases was released by hand before."""
        return "devm-mixed-double-release" if kind in _RELEASED_BEFORE else kind

    # -- groups -----------------------------------------------------------------------------------------

    def open_group(self, dev: device, id: object, gfp: int) -> object:
        """``devres_open_group()``: what is added from now on is in the group ``id``, or one of its own; NULL if no memory."""
        base = self.kernel.slab.kmalloc(SIZEOF_GROUP, gfp)
        if not base:
            return NULL
        group = Group(base, id)
        _memory(base).scan |= SCAN_HELD
        _list(dev).append(group.open)
        return group.id

    def _find_group(self, dev: device, id: object) -> Group | None:
        """``find_group()``: the group ``id``, or the youngest that is open."""
        for marker in reversed(_list(dev)):
            if isinstance(marker, Marker) and marker is marker.group.open:
                group = marker.group
                if group.closed is None if id is None or id == 0 else group.id is id or group.id == id:
                    return group
        return None

    def close_group(self, dev: device, id: object) -> None:
        """``devres_close_group()``."""
        group = self._find_group(dev, id)
        if group is None:
            self.kernel.warn("devm-unmanaged-release", "drivers/base/devres.c:618", "devres_close_group", key=dev)
            return
        group.closed = Marker(group)
        _list(dev).append(group.closed)

    def remove_group(self, dev: device, id: object) -> None:
        """``devres_remove_group()``: forget the group; what was in it stays the device's."""
        group = self._find_group(dev, id)
        if group is None:
            self.kernel.warn("devm-unmanaged-release", "drivers/base/devres.c:646", "devres_remove_group", key=dev)
            return
        entries = _list(dev)
        entries[:] = [e for e in entries if e is not group.open and e is not group.closed]
        self.kernel.slab.kfree(group.base)

    def release_group(self, dev: device, id: object) -> int:
        """``devres_release_group()``: release what is in the group; how many resources that were."""
        group = self._find_group(dev, id)
        entries = _list(dev)
        if group is None:
            if entries:
                self.kernel.warn("devm-unmanaged-release", "drivers/base/devres.c:695", "devres_release_group", key=dev)
            return 0
        first = entries.index(group.open)
        end = entries.index(group.closed) + 1 if group.closed is not None else len(entries)
        return self._release_nodes(dev, self._remove_nodes(dev, first, end))


def _memory(base: Ptr) -> Allocation:
    about = base.origin
    assert about is not None
    return about


def _list(dev: device) -> list[Node | Marker]:
    if dev.devres_head is None:
        dev.devres_head = []  # the kernel follows the NULL of an uninitialised list head here
    return dev.devres_head


def null_or_data(node: Node | None) -> Ptr:
    """The pointer that drivers get for a node."""
    return node.data if node is not None else NULL
