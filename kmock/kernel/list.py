"""Doubly linked lists (``include/linux/list.h``) and what CONFIG_DEBUG_LIST says of them (``lib/list_debug.c``).

A ``list_head`` is a Python object. One that is a member of a Struct lies in simulated memory: its two
pointers are words there, so that stale memory, poison and corruption are what they are in C, and
kmemleak finds what hangs on the list. One that stands alone, or is an attribute of a Python object, has
a place in the kernel's data the moment a word in memory must point to it.
"""

from __future__ import annotations

import opcode
import sys
from typing import TYPE_CHECKING, Any, Final

from kmock.current import current
from kmock.kernel.hang import deadlock
from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.lang.struct import Struct, container_of
from kmock.sanitizers.describe import object_info
from kmock.sanitizers.object import Allocation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from kmock.machine import Kernel

POISON_POINTER_DELTA: Final = 0xDEAD_0000_0000_0000
LIST_POISON1: Final = Ptr(POISON_POINTER_DELTA + 0x100)
LIST_POISON2: Final = Ptr(POISON_POINTER_DELTA + 0x122)
_PREV: Final = 8
_FOR_ITER: Final = opcode.opmap["FOR_ITER"]


class list_head:
    """A node, or the head, of a list. ``list_head()`` is initialised: it points to itself, as LIST_HEAD() makes it."""

    __slots__ = ("__weakref__", "_at", "_next", "_owner", "_prev")
    C_SIZE = 16

    def __init__(self) -> None:
        self._at: int | None = None
        self._owner: Allocation | None = None
        self._next: list_head | Ptr = self
        self._prev: list_head | Ptr = self

    @classmethod
    def at(cls, place: Ptr) -> list_head:
        """Return the node whose pointers lie at ``place``."""
        node = cls()
        node._at = int(place)
        node._owner = place.origin or current.get().mem.owner(place)
        return node

    @property
    def _address(self) -> Ptr | None:
        """Where it lies in simulated memory. Made anew each time: a pointer that is kept would be a reference."""
        return None if self._at is None else make_ptr(self._at, self._owner)

    @property
    def next(self) -> list_head | Ptr:
        """The node behind; a pointer where no node is: NULL, poison, garbage."""
        return self._next if self._at is None else self._load(0)

    @next.setter
    def next(self, value: list_head | Ptr) -> None:
        if self._at is None:
            self._next = value
        else:
            self._store(0, value)

    @property
    def prev(self) -> list_head | Ptr:
        """The node before; a pointer where no node is."""
        return self._prev if self._at is None else self._load(_PREV)

    @prev.setter
    def prev(self, value: list_head | Ptr) -> None:
        if self._at is None:
            self._prev = value
        else:
            self._store(_PREV, value)

    def _load(self, offset: int) -> list_head | Ptr:
        k = current.get()
        return node_at(k, k.mem.load_ptr(make_ptr(self._at or 0, self._owner), offset))

    def _store(self, offset: int, value: list_head | Ptr) -> None:
        k = current.get()
        k.mem.store_ptr(make_ptr(self._at or 0, self._owner), offset, address_of(k, value))

    def memory_freed(self, k: Kernel, about: Allocation | None) -> None:
        """The memory around the node is being freed: report if the list still runs through it."""
        if (
            about is None
            or about.area == "stack"
            or not (_leads_back(k, self._load(0), _PREV, self) or _leads_back(k, self._load(_PREV), 0, self))
        ):
            return
        stack = k.capture()
        k.report(
            "free-while-on-list",
            f"BUG: kmock: free-while-on-list in {k.symbol(stack)}",
            lines=[f"the list_head at offset {(self._at or 0) - about.addr} of the {about.what} is still on a list"],
            stacks={"access": stack, "allocated": about.alloc_stack},
            object=object_info(k, about, self._at or 0),
            # The list's later steps into the freed memory follow from this.
            key=(about, about.area, False),
        )

    def memory_reused(self, about: Allocation) -> None:
        """The memory around the node, which kept its contents, goes to a new owner."""
        self._owner = about

    def __repr__(self) -> str:
        return f"<list_head at {self._at:#x}>" if self._at is not None else "<list_head>"


def _leads_back(k: Kernel, neighbour: list_head | Ptr, offset: int, node: list_head) -> bool:
    """Whether a neighbour of ``node`` is a living node whose pointer at ``offset`` leads to ``node``."""
    if not isinstance(neighbour, list_head) or neighbour is node:
        return False
    if neighbour._at is not None:
        owner = k.mem.owner(neighbour._at)
        if owner is None or not owner.live:
            return False
    return (neighbour.next if offset == 0 else neighbour.prev) is node


def address_of(k: Kernel, value: list_head | Ptr) -> Ptr:
    """Return the address of a node, which is given one in the kernel's data if it has none."""
    if not isinstance(value, list_head):
        return value
    return value._address or k.lists.address(value)


def node_at(k: Kernel, p: Ptr) -> list_head | Ptr:
    """Return the node that a pointer stands for, or the pointer where no node can be."""
    address = int(p)
    standing = k.lists.nodes.get(address)
    if standing is not None:
        return standing
    if k.mem.translate(address) is None:
        return p
    found: list_head = k.mem.embedded.at(p, list_head)
    return found


class Lists:
    """The nodes of one kernel that are Python's and that words in simulated memory point to."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.nodes: dict[int, list_head] = {}
        self._addresses: dict[list_head, int] = {}

    def address(self, node: list_head) -> Ptr:
        """Return the address that stands for ``node``."""
        found = self._addresses.get(node)
        if found is None:
            found = self.kernel.layout.image + (1 << 27) + 16 * len(self.nodes)
            self.nodes[found] = node
            self._addresses[node] = found
        return Ptr(found)


# -- the checks -----------------------------------------------------------------------------------------


def _corrupt(k: Kernel, kind: str, line: int, function: str, text: str) -> bool:
    k.warn(kind, f"lib/list_debug.c:{line}", function, text)
    return False


def _show(k: Kernel, value: list_head | Ptr) -> str:
    return f"{int(address_of(k, value)):016x}"


def _neighbour(k: Kernel, value: list_head | Ptr, offset: int, by: str = "") -> list_head | Ptr:
    """Load a pointer of a node, on behalf of the kernel function ``by``."""
    p = value._address if isinstance(value, list_head) else value
    if p is None:
        assert isinstance(value, list_head)
        return value.next if offset == 0 else value.prev
    if by and p.origin is not None and not p.origin.live:
        # KASAN names the function that touches the node first, which is the kernel's.
        k.kasan.check(int(p) + offset, 8, write=False, origin=p.origin, by=by)
    return node_at(k, k.mem.load_ptr(p, offset))


def list_add_valid(k: Kernel, new: list_head, prev: list_head | Ptr, next: list_head | Ptr) -> bool:
    """``__list_add_valid()``: whether ``new`` may go between ``prev`` and ``next``."""
    by = "__list_add_valid"
    if not isinstance(prev, list_head) and not prev:
        return _corrupt(k, "list-corruption", 23, by, "list_add corruption. prev is NULL.")
    if not isinstance(next, list_head) and not next:
        return _corrupt(k, "list-corruption", 25, by, "list_add corruption. next is NULL.")
    back = _neighbour(k, next, _PREV, by)
    if not same(back, prev):
        shown = f"next->prev should be prev ({_show(k, prev)}), but was {_show(k, back)}. (next={_show(k, next)})."
        return _corrupt(k, "list-corruption", 27, by, f"list_add corruption. {shown}")
    on = _neighbour(k, prev, 0, by)
    if not same(on, next):
        shown = f"prev->next should be next ({_show(k, next)}), but was {_show(k, on)}. (prev={_show(k, prev)})."
        return _corrupt(k, "list-corruption", 30, by, f"list_add corruption. {shown}")
    if new is prev or new is next:
        shown = f"new={_show(k, new)}, prev={_show(k, prev)}, next={_show(k, next)}."
        return _corrupt(k, "list-double-add", 33, by, f"list_add double add: {shown}")
    return True


def list_del_entry_valid(k: Kernel, entry: list_head) -> bool:
    """``__list_del_entry_valid()``: whether ``entry`` is on a list that it can be taken off."""
    by = "__list_del_entry_valid"
    next, prev = entry.next, entry.prev
    here = _show(k, entry)
    text = f"list_del corruption, {here}->"
    for line, name, value, bad, shown, kind in (
        (49, "next", next, NULL, "NULL", "list-corruption"),
        (51, "prev", prev, NULL, "NULL", "list-corruption"),
        (53, "next", next, LIST_POISON1, f"LIST_POISON1 ({int(LIST_POISON1):016x})", "list-double-del"),
        (56, "prev", prev, LIST_POISON2, f"LIST_POISON2 ({int(LIST_POISON2):016x})", "list-double-del"),
    ):
        if same(value, bad):
            return _corrupt(k, kind, line, by, f"{text}{name} is {shown}")
    on = _neighbour(k, prev, 0, by)
    if not same(on, entry):
        shown = f"prev->next should be {here}, but was {_show(k, on)}. (prev={_show(k, prev)})"
        return _corrupt(k, "list-corruption", 59, by, f"list_del corruption. {shown}")
    back = _neighbour(k, next, _PREV, by)
    if not same(back, entry):
        shown = f"next->prev should be {here}, but was {_show(k, back)}. (next={_show(k, next)})"
        return _corrupt(k, "list-corruption", 62, by, f"list_del corruption. {shown}")
    return True


def same(a: list_head | Ptr, b: list_head | Ptr) -> bool:
    """Whether two links lead to the same place."""
    return a is b or (not isinstance(a, list_head) and not isinstance(b, list_head) and int(a) == int(b))


# -- operations -----------------------------------------------------------------------------------------


def insert(k: Kernel, new: list_head, prev: list_head | Ptr, next: list_head | Ptr) -> None:
    """``__list_add()``: put ``new`` between two neighbours."""
    if not list_add_valid(k, new, prev, next):
        return
    set_prev(k, next, new)
    new.next = next
    new.prev = prev
    set_next(k, prev, new)


def set_next(k: Kernel, node: list_head | Ptr, value: list_head | Ptr) -> None:
    """``node->next = value``, where ``node`` may be a wild pointer."""
    if isinstance(node, list_head):
        node.next = value
    else:
        k.mem.store_ptr(node, 0, address_of(k, value))


def set_prev(k: Kernel, node: list_head | Ptr, value: list_head | Ptr) -> None:
    """``node->prev = value``, where ``node`` may be a wild pointer."""
    if isinstance(node, list_head):
        node.prev = value
    else:
        k.mem.store_ptr(node, _PREV, address_of(k, value))


def unlink(k: Kernel, entry: list_head) -> None:
    """``__list_del_entry()``: let the neighbours point to each other."""
    if list_del_entry_valid(k, entry):
        prev, next = entry.prev, entry.next
        set_prev(k, next, prev)
        set_next(k, prev, next)


class Progress:
    """Whether a walk can still come to its head: in a ring that the head is not in, it would go round for ever."""

    __slots__ = ("_head", "_kernel", "_landmark", "_left", "_round")

    def __init__(self, kernel: Kernel, head: list_head) -> None:
        self._kernel = kernel
        self._head = head
        self._landmark: list_head | Ptr | None = None
        self._left = self._round = 64

    def step(self, at: list_head | Ptr) -> None:
        """The walk goes on to ``at``: Deadlock if it was there before and nothing leads from there to the head."""
        if at is self._landmark and self._ring_without_head(at):
            self._endless()
        self._left -= 1
        if not self._left:
            self._round *= 2
            self._left, self._landmark = self._round, at

    def _ring_without_head(self, start: list_head | Ptr) -> bool:
        at = start
        for _ in range(self._round):
            if not isinstance(at, list_head) or at is self._head:
                return False
            at = at.next
            if at is start:
                return True
        return False

    def _endless(self) -> None:
        k = self._kernel
        key = ("endless-walk", self._head)
        told = k.report(
            "list-corruption",
            f"watchdog: BUG: soft lockup - CPU#{k.cpu.id} stuck for 22s! [{k.current!r}]",
            lines=["the entries that the loop goes round lead to each other, and not back to the list's head"],
            stacks={"access": k.capture()},
            key=key,
        )
        raise deadlock(k, told or k.reports.find(key))


def nodes(head: list_head) -> Iterator[list_head]:
    """Every node from the head's next on, as ``list_for_each()`` walks: the next is loaded after each turn."""
    k = current.get()
    progress = Progress(k, head)
    at = head.next
    while at is not head:
        yield expect_node(k, at)
        at = _neighbour(k, at, 0)
        progress.step(at)


def nodes_safe(head: list_head) -> Iterator[list_head]:
    """Every node, the next being loaded before each turn, so that the current one may be deleted."""
    k = current.get()
    progress = Progress(k, head)
    at = head.next
    while at is not head:
        node = expect_node(k, at)
        at = node.next
        progress.step(at)
        yield node


def nodes_reverse(head: list_head) -> Iterator[list_head]:
    """Every node from the head's prev on."""
    at = head.prev
    while isinstance(at, list_head) and at is not head:
        yield at
        at = at.prev


def entries(walk: Iterator[list_head], type: Any, member: str) -> Iterator[Any]:
    """The structs around the nodes of ``walk``.

    When a ``for`` loop has seen them all, its variable is no entry any more: in C it points beside the head.
    """
    entry = None
    for node in walk:
        entry = container_of(node, type, member)
        yield entry
    # Whoever refers to the entry beside this variable and the loop's has got hold of it inside the loop.
    if isinstance(entry, Struct) and sys.getrefcount(entry) <= _OWN + 1 and _in_for_loop(sys._getframe(1)):
        entry._ptr = make_ptr(int(entry._ptr), LoopEnd(entry._ptr, member))


def _references_of_one_variable() -> int:
    only = object()
    return sys.getrefcount(only)


_OWN: Final = _references_of_one_variable()


def _in_for_loop(frame: FrameType) -> bool:
    """Whether ``frame`` waits for the next turn of a ``for`` statement, which leaves its variable behind."""
    code = frame.f_code
    return code.co_code[frame.f_lasti] == _FOR_ITER and not code.co_name.startswith("<")


class LoopEnd(Allocation):
    """What a loop's variable points to after a whole walk: not the last entry, whatever it looks like."""

    __slots__ = ("member",)
    stale_kind = "iterator-after-loop"
    undo = ""

    def __init__(self, entry: Ptr, member: str) -> None:
        self.addr = int(entry)
        self.member = member
        self.size = 0
        self.live = False
        self.phys = -1
        self.written = None
        self.alloc_stack = ()
        self.free_stack = self.free_task = None
        self.task = current.get().current

    @property
    def what(self) -> str:
        """Say that it is no entry."""
        return f"the list's head, taken for an entry by its {self.member}"


def expect_node(k: Kernel, at: list_head | Ptr) -> list_head:
    """Return a link as a node; a wild pointer oopses as its use would."""
    if isinstance(at, list_head):
        return at
    return k.kasan.page_fault(int(at), write=False, origin=at.origin, n=8)
