"""``<linux/rculist.h>``: lists that are walked without a lock, between ``rcu_read_lock()`` and ``rcu_read_unlock()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import list as lists
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.list import (
    LIST_POISON2,
    container_of,
    hlist_add_head,
    hlist_del_init,
    hlist_for_each_entry,
    hlist_head,
    hlist_node,
    list_empty,
    list_head,
    list_replace,
)
from kmock.linux.rcupdate import rcu_dereference_check
from kmock.linux.types import NULL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel


@api(since="2.5.44")
def list_add_rcu(k: Kernel, new: list_head, head: list_head) -> None:
    """Publish ``new`` behind ``head``."""
    k.rcu.pointers.publish(lists.address_of(k, new))
    lists.insert(k, new, head, head.next)


@api(since="2.5.44")
def list_add_tail_rcu(k: Kernel, new: list_head, head: list_head) -> None:
    """Publish ``new`` before ``head``."""
    k.rcu.pointers.publish(lists.address_of(k, new))
    lists.insert(k, new, head.prev, head)


@api(since="2.5.44")
def list_del_rcu(k: Kernel, entry: list_head) -> None:
    """Take ``entry`` off its list; readers that are at it still find the way on. Free it after a grace period."""
    lists.unlink(k, entry)
    entry.prev = LIST_POISON2


@api(since="2.6.10")
def list_replace_rcu(k: Kernel, old: list_head, new: list_head) -> None:
    """Publish ``new`` where ``old`` is."""
    k.rcu.pointers.publish(lists.address_of(k, new))
    list_replace(old, new)
    old.prev = LIST_POISON2


@api(since="2.5.44")
def list_for_each_entry_rcu(k: Kernel, head: list_head, type: Any, member: str, cond: Any = False) -> Iterator[Any]:
    """Every entry, for readers; ``cond`` says whether an updater that walks holds the lock."""
    rcu_dereference_check(None, cond)
    return _fetched(k, lists.entries(lists.nodes(head), type, member))


@api(since="2.6.36")
def list_entry_rcu(k: Kernel, ptr: list_head, type: Any, member: str) -> Any:
    """The entry that ``ptr`` is the member ``member`` of, for readers."""
    return next(_fetched(k, iter([container_of(ptr, type, member)])))


@api(since="3.6")
def list_first_or_null_rcu(k: Kernel, head: list_head, type: Any, member: str) -> Any:
    """The first entry, for readers; NULL of an empty list."""
    return NULL if list_empty(head) else list_entry_rcu(lists.expect_node(k, head.next), type, member)


@api(since="2.5.64")
def hlist_add_head_rcu(k: Kernel, n: hlist_node, h: hlist_head) -> None:
    """Publish ``n`` at the beginning of a hash list."""
    hlist_add_head(n, h)


@api(since="2.5.64")
def hlist_del_rcu(k: Kernel, n: hlist_node) -> None:
    """Take ``n`` off its hash list; readers that are at it still find the way on."""
    after = n.next
    hlist_del_init(n)
    n.next = after


@api(since="2.6.4")
def hlist_for_each_entry_rcu(k: Kernel, head: hlist_head, type: Any, member: str, cond: Any = False) -> Iterator[Any]:
    """Every entry of a hash list, for readers; ``cond`` says whether an updater that walks holds the lock."""
    rcu_dereference_check(None, cond)
    return _fetched(k, hlist_for_each_entry(head, type, member))


def _fetched(k: Kernel, entries: Iterator[Any]) -> Iterator[Any]:
    for entry in entries:
        k.rcu.pointers.fetch(entry)
        yield entry


__getattr__ = header_getattr(__name__)
__all__ = [
    "hlist_add_head_rcu",
    "hlist_del_rcu",
    "hlist_for_each_entry_rcu",
    "list_add_rcu",
    "list_add_tail_rcu",
    "list_del_rcu",
    "list_entry_rcu",
    "list_first_or_null_rcu",
    "list_for_each_entry_rcu",
    "list_replace_rcu",
]
