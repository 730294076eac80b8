"""``<linux/nodemask.h>``: sets of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm.memblock_type import MAX_NUMNODES

if TYPE_CHECKING:
    from kmock.machine import Kernel


class nodemask_t(set[int]):
    """A set of node numbers; a new one is empty, as ``NODE_MASK_NONE`` makes it."""


def node_set(node: int, dst: nodemask_t) -> None:
    """Put a node into the set."""
    dst.add(node)


def node_clear(node: int, dst: nodemask_t) -> None:
    """Take a node out of the set."""
    dst.discard(node)


def nodes_clear(dst: nodemask_t) -> None:
    """Take all nodes out of the set."""
    dst.clear()


def node_isset(node: int, nodemask: nodemask_t) -> bool:
    """Return whether a node is in the set."""
    return node in nodemask


def nodes_empty(nodemask: nodemask_t) -> bool:
    """Return whether no node is in the set."""
    return not nodemask


def nodes_weight(nodemask: nodemask_t) -> int:
    """Return how many nodes are in the set."""
    return len(nodemask)


def first_node(src: nodemask_t) -> int:
    """Return the lowest node of the set; MAX_NUMNODES if it is empty."""
    return min(src, default=MAX_NUMNODES)


def next_node(n: int, src: nodemask_t) -> int:
    """Return the lowest node of the set above ``n``; MAX_NUMNODES if there is none."""
    return min((node for node in src if node > n), default=MAX_NUMNODES)


@api(since="2.6")
def num_online_nodes(k: Kernel) -> int:
    """Return how many nodes the machine has."""
    return len(k.config.topology)


@api(since="2.6")
def node_online(k: Kernel, node: int) -> bool:
    """Return whether the machine has that node."""
    return 0 <= node < len(k.config.topology)


__getattr__ = header_getattr(__name__)
__all__ = [
    "MAX_NUMNODES",
    "first_node",
    "next_node",
    "node_clear",
    "node_isset",
    "node_online",
    "node_set",
    "nodemask_t",
    "nodes_clear",
    "nodes_empty",
    "nodes_weight",
    "num_online_nodes",
]
