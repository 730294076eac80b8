"""``<linux/list.h>``: doubly linked lists, and hash lists.

``list_head`` is a member of a Struct, an attribute of a Python object, or stands alone. The walks are
generators: ``list_for_each_entry(pos, head, member)`` of C is
``for pos in list_for_each_entry(head, type, member)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import list as lists
from kmock.kernel.list import LIST_POISON1, LIST_POISON2, POISON_POINTER_DELTA, list_head
from kmock.lang.ptr import NULL
from kmock.lang.struct import container_of
from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel


def LIST_HEAD(name: str = "") -> list_head:
    """Make an empty list."""
    return list_head()


def LIST_HEAD_INIT(name: Any = None) -> list_head:
    """An initialised head or node."""
    return list_head()


def INIT_LIST_HEAD(list: list_head) -> None:
    """Make a head or node point to itself."""
    list.next = list
    list.prev = list


@api(since="1.0")
def list_add(k: Kernel, new: list_head, head: list_head) -> None:
    """Put ``new`` behind ``head``: a stack's push."""
    lists.insert(k, new, head, head.next)


@api(since="1.0")
def list_add_tail(k: Kernel, new: list_head, head: list_head) -> None:
    """Put ``new`` before ``head``: a queue's end."""
    lists.insert(k, new, head.prev, head)


@api(since="1.0")
def list_del(k: Kernel, entry: list_head) -> None:
    """Take ``entry`` off its list and poison its pointers."""
    lists.unlink(k, entry)
    entry.next = LIST_POISON1
    entry.prev = LIST_POISON2


@api(since="1.0")
def list_del_init(k: Kernel, entry: list_head) -> None:
    """Take ``entry`` off its list and leave it empty."""
    lists.unlink(k, entry)
    INIT_LIST_HEAD(entry)


@api(since="2.4.0")
def list_move(k: Kernel, list: list_head, head: list_head) -> None:
    """Take ``list`` off its list and put it behind ``head``."""
    lists.unlink(k, list)
    lists.insert(k, list, head, head.next)


@api(since="2.4.0")
def list_move_tail(k: Kernel, list: list_head, head: list_head) -> None:
    """Take ``list`` off its list and put it before ``head``."""
    lists.unlink(k, list)
    lists.insert(k, list, head.prev, head)


@api(since="2.6.18")
def list_replace(k: Kernel, old: list_head, new: list_head) -> None:
    """Put ``new`` where ``old`` is; ``old`` keeps its pointers."""
    new.next = old.next
    lists.set_prev(k, new.next, new)
    new.prev = old.prev
    lists.set_next(k, new.prev, new)


@api(since="2.6.18")
def list_replace_init(k: Kernel, old: list_head, new: list_head) -> None:
    """Put ``new`` where ``old`` is, and leave ``old`` empty."""
    list_replace(old, new)
    INIT_LIST_HEAD(old)


@api(since="1.0")
def list_splice(k: Kernel, list: list_head, head: list_head) -> None:
    """Put all nodes of ``list`` behind ``head``; ``list`` itself is not changed."""
    if not list_empty(list):
        _splice(k, list, head, head.next)


@api(since="2.6.28")
def list_splice_tail(k: Kernel, list: list_head, head: list_head) -> None:
    """Put all nodes of ``list`` before ``head``; ``list`` itself is not changed."""
    if not list_empty(list):
        _splice(k, list, head.prev, head)


@api(since="2.4.0")
def list_splice_init(k: Kernel, list: list_head, head: list_head) -> None:
    """Put all nodes of ``list`` behind ``head`` and leave ``list`` empty."""
    list_splice(list, head)
    INIT_LIST_HEAD(list)


@api(since="2.6.28")
def list_splice_tail_init(k: Kernel, list: list_head, head: list_head) -> None:
    """Put all nodes of ``list`` before ``head`` and leave ``list`` empty."""
    list_splice_tail(list, head)
    INIT_LIST_HEAD(list)


def _splice(k: Kernel, list: list_head, prev: Any, next: Any) -> None:
    first, last = list.next, list.prev
    lists.set_prev(k, first, prev)
    lists.set_next(k, prev, first)
    lists.set_next(k, last, next)
    lists.set_prev(k, next, last)


def list_empty(head: list_head) -> bool:
    """Whether a list has no nodes."""
    return head.next is head


def list_empty_careful(head: list_head) -> bool:
    """Whether a list has no nodes, seen from both ends."""
    return head.next is head and head.prev is head


def list_is_singular(head: list_head) -> bool:
    """Whether a list has just one node."""
    return not list_empty(head) and head.next is head.prev


def list_is_last(list: list_head, head: list_head) -> bool:
    """Whether ``list`` is the last node."""
    return list.next is head


def list_is_first(list: list_head, head: list_head) -> bool:
    """Whether ``list`` is the first node."""
    return list.prev is head


def list_is_head(list: list_head, head: list_head) -> bool:
    """Whether ``list`` is the head itself: a walk's end."""
    return list is head


def list_entry(ptr: list_head, type: Any, member: str) -> Any:
    """The ``type`` that ``ptr`` is the member ``member`` of."""
    return container_of(ptr, type, member)


@api(since="2.6.22")
def list_first_entry(k: Kernel, ptr: list_head, type: Any, member: str) -> Any:
    """The first entry of a list that is not empty; of an empty one it is the head, taken for an entry."""
    return container_of(lists.expect_node(k, ptr.next), type, member)


@api(since="3.13")
def list_last_entry(k: Kernel, ptr: list_head, type: Any, member: str) -> Any:
    """The last entry of a list that is not empty."""
    return container_of(lists.expect_node(k, ptr.prev), type, member)


def list_first_entry_or_null(ptr: list_head, type: Any, member: str) -> Any:
    """The first entry of a list, or NULL."""
    return NULL if list_empty(ptr) else list_first_entry(ptr, type, member)


@api(since="3.13")
def list_next_entry(k: Kernel, pos: Any, member: str) -> Any:
    """The entry behind ``pos``."""
    return container_of(lists.expect_node(k, getattr(pos, member).next), type(pos), member)


@api(since="3.13")
def list_prev_entry(k: Kernel, pos: Any, member: str) -> Any:
    """The entry before ``pos``."""
    return container_of(lists.expect_node(k, getattr(pos, member).prev), type(pos), member)


def list_for_each(head: list_head) -> Iterator[list_head]:
    """Every node; the current one must stay on the list."""
    return lists.nodes(head)


def list_for_each_safe(head: list_head) -> Iterator[list_head]:
    """Every node; the current one may be deleted."""
    return lists.nodes_safe(head)


def list_for_each_entry(head: list_head, type: Any, member: str) -> Iterator[Any]:
    """Every entry; the current one must stay on the list."""
    return lists.entries(lists.nodes(head), type, member)


def list_for_each_entry_safe(head: list_head, type: Any, member: str) -> Iterator[Any]:
    """Every entry; the current one may be deleted and freed."""
    return lists.entries(lists.nodes_safe(head), type, member)


def list_for_each_entry_reverse(head: list_head, type: Any, member: str) -> Iterator[Any]:
    """Every entry, from the last."""
    return lists.entries(lists.nodes_reverse(head), type, member)


@api(since="6.0")
def list_count_nodes(k: Kernel, head: list_head) -> int:
    """How many nodes a list has."""
    return sum(1 for _ in lists.nodes(head))


# -- hash lists -----------------------------------------------------------------------------------------


class hlist_node:
    """A node of a hash list."""

    __slots__ = ("__weakref__", "next", "pprev")

    def __init__(self) -> None:
        self.next: hlist_node | None = None
        self.pprev: hlist_head | hlist_node | None = None
        """What points to this node: the node before, or the head."""


class hlist_head:
    """The head of a hash list: one pointer."""

    __slots__ = ("__weakref__", "first")

    def __init__(self) -> None:
        self.first: hlist_node | None = None


def HLIST_HEAD(name: str = "") -> hlist_head:
    """An empty hash list."""
    return hlist_head()


def INIT_HLIST_HEAD(ptr: hlist_head) -> None:
    """Empty a hash list."""
    ptr.first = None


def INIT_HLIST_NODE(h: hlist_node) -> None:
    """Make a node hang on no list."""
    h.next = None
    h.pprev = None


def hlist_unhashed(h: hlist_node) -> bool:
    """Whether a node hangs on no list."""
    return h.pprev is None


def hlist_empty(h: hlist_head) -> bool:
    """Whether a hash list has no nodes."""
    return h.first is None


def hlist_add_head(n: hlist_node, h: hlist_head) -> None:
    """Put a node at the beginning."""
    n.next = h.first
    if n.next is not None:
        n.next.pprev = n
    h.first = n
    n.pprev = h


def hlist_del_init(n: hlist_node) -> None:
    """Take a node off its list, if it is on one, and leave it unhashed."""
    before = n.pprev
    if before is None:
        return
    if isinstance(before, hlist_head):
        before.first = n.next
    else:
        before.next = n.next
    if n.next is not None:
        n.next.pprev = before
    INIT_HLIST_NODE(n)


def hlist_del(n: hlist_node) -> None:
    """Take a node off its list."""
    hlist_del_init(n)


def hlist_entry(ptr: hlist_node, type: Any, member: str) -> Any:
    """The ``type`` that ``ptr`` is the member ``member`` of."""
    return container_of(ptr, type, member)


def hlist_for_each_entry(head: hlist_head, type: Any, member: str) -> Iterator[Any]:
    """Every entry; the current one must stay on the list."""
    node = head.first
    while node is not None:
        yield container_of(node, type, member)
        node = node.next


def hlist_for_each_entry_safe(head: hlist_head, type: Any, member: str) -> Iterator[Any]:
    """Every entry; the current one may be deleted and freed."""
    node = head.first
    while node is not None:
        next = node.next
        yield container_of(node, type, member)
        node = next


__getattr__ = header_getattr(
    __name__,
    {
        "list_bulk_move_tail",
        "list_cut_before",
        "list_cut_position",
        "list_for_each_entry_continue",
        "list_for_each_entry_from",
        "list_for_each_prev",
        "list_rotate_left",
        "list_swap",
        "hlist_add_before",
        "hlist_add_behind",
        "hlist_move_list",
    },
)
__all__ = [
    "HLIST_HEAD",
    "INIT_HLIST_HEAD",
    "INIT_HLIST_NODE",
    "INIT_LIST_HEAD",
    "LIST_HEAD",
    "LIST_HEAD_INIT",
    "LIST_POISON1",
    "LIST_POISON2",
    "POISON_POINTER_DELTA",
    "container_of",
    "hlist_add_head",
    "hlist_del",
    "hlist_del_init",
    "hlist_empty",
    "hlist_entry",
    "hlist_for_each_entry",
    "hlist_for_each_entry_safe",
    "hlist_head",
    "hlist_node",
    "hlist_unhashed",
    "list_add",
    "list_add_tail",
    "list_count_nodes",
    "list_del",
    "list_del_init",
    "list_empty",
    "list_empty_careful",
    "list_entry",
    "list_first_entry",
    "list_first_entry_or_null",
    "list_for_each",
    "list_for_each_entry",
    "list_for_each_entry_reverse",
    "list_for_each_entry_safe",
    "list_for_each_safe",
    "list_head",
    "list_is_first",
    "list_is_head",
    "list_is_last",
    "list_is_singular",
    "list_last_entry",
    "list_move",
    "list_move_tail",
    "list_next_entry",
    "list_prev_entry",
    "list_replace",
    "list_replace_init",
    "list_splice",
    "list_splice_init",
    "list_splice_tail",
    "list_splice_tail_init",
]
