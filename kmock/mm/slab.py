"""``struct kmem_cache``, ``struct slab`` and what is known of each object (``mm/slab.h``, ``include/linux/slub_def.h``)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, final

from kmock.mm.slab_layout import SLAB_DEBUG_FLAGS, SLAB_KMALLOC, Layout
from kmock.sanitizers.object import TAKEN, Allocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.mm.page import Page

_LEAKS: Final = {"stayed": "krealloc-lost-on-failure", TAKEN: "mempool-leak"}
"""Kinds of report for leaking an object, by its fate."""
_STALE: Final = {"moved": "krealloc-stale-pointer", "managed": "devm-after-unbind"}


@final
class SlabObject(Allocation):
    """One object of a cache, from its allocation until its memory is needed again."""

    __slots__ = ("index", "slab", "zeroed")
    slab: Slab
    index: int
    """Its place in the slab."""
    zeroed: bool
    """Whether it was allocated zeroed; else unset."""

    @property
    def leak_kind(self) -> str:
        """Kind of report for leaking it, where the cause is known."""
        return _LEAKS.get(getattr(self, "fate", ""), "")

    @property
    def stale_kind(self) -> str:
        """Kind of report for using it after its end, where the cause is known."""
        return _STALE.get(getattr(self, "fate", ""), "")

    @property
    def cache(self) -> KmemCache:
        """The cache it belongs to."""
        return self.slab.cache

    @property
    def cache_name(self) -> str:
        """Name of the cache it belongs to."""
        return self.slab.cache.name

    @property
    def object_size(self) -> int:
        """Bytes of the cache's objects, at least the requested ``size``."""
        return self.slab.cache.object_size

    @property
    def typesafe(self) -> bool:
        """Whether it may be touched for a grace period after it was freed."""
        return self.slab.cache.layout.typesafe

    @property
    def usable(self) -> int:
        """``ksize()`` of it."""
        return self.slab.cache.usable

    @property
    def what(self) -> str:
        """``object of cache kmalloc-64``."""
        return f"object of cache {self.slab.cache.name}"

    @property
    def undo(self) -> str:
        """The call that releases it."""
        if getattr(self, "fate", "") == TAKEN:
            return "mempool_free"
        return "kfree" if self.slab.cache.is_kmalloc else "kmem_cache_free"


@final
class ZeroSize(Allocation):
    """Stands behind ZERO_SIZE_PTR, so that its use can name the call."""

    __slots__ = ()

    @property
    def what(self) -> str:
        """Say that nothing is there."""
        return "ZERO_SIZE_PTR, the result of an allocation of 0 bytes"

    @property
    def undo(self) -> str:
        """Freeing it does nothing."""
        return "kfree"


@final
class Slab:
    """Pages cut into objects of one cache: the owner of those pages (``struct slab``)."""

    __slots__ = (
        "base",
        "cache",
        "constructed",
        "cpu",
        "disabled",
        "first",
        "free",
        "listed",
        "node",
        "objects",
        "order",
        "page",
        "phys",
        "records",
        "remote",
        "stride",
    )

    page: Page
    base: int
    """Virtual address of the slab's first byte."""
    first: int
    """Virtual address of the first object, behind its left red zone."""
    phys: int
    """Physical address of the first object."""
    node: int

    def __init__(self, cache: KmemCache, order: int) -> None:
        self.cache = cache
        self.order = order
        self.stride = cache.size
        self.objects = (4096 << order) // cache.size
        self.free: list[int] = []
        """Indices of free objects; the last is handed out next."""
        self.remote: list[int] = []
        """What other CPUs freed into another CPU's active slab."""
        self.records: list[SlabObject | None] = [None] * self.objects
        """The living object of each place, or the last that lived there."""
        self.constructed: list[tuple[bytes | bytearray | None, bytes]] = []
        """What the constructor wrote to each object, and the bytes after it ran."""
        self.cpu: CpuSlab | None = None
        """The CPU that holds it, actively or on its partial list (``frozen``)."""
        self.listed = False
        """Whether it is on its node's partial list."""
        self.disabled = False
        """Its free list can't be trusted: a check failed, or a place is on it twice."""

    @property
    def inuse(self) -> int:
        """Objects not on a free list."""
        return self.objects - len(self.free) - len(self.remote)

    @property
    def empty(self) -> bool:
        """Whether every place is free."""
        return len({*self.free} if self.disabled else self.free) == self.objects

    def probe(self, address: int) -> SlabObject | None:
        """Return the record of the place that ``address`` lies in; None for a never-used place or padding."""
        index = (address - self.base) // self.stride
        return self.records[index] if 0 <= index < self.objects else None

    def address(self, index: int) -> int:
        """Virtual address of an object."""
        return self.first + index * self.stride

    def index_of(self, address: int) -> int:
        """Index of the object that starts at ``address``; -1 where none does."""
        index, rest = divmod(address - self.first, self.stride)
        return index if not rest and 0 <= index < self.objects else -1

    def live(self) -> Iterator[SlabObject]:
        """Every living object, those that wait in a pool's reserve among them."""
        return (o for o in self.records if o is not None and (o.live or o.reserved))


@final
class CpuSlab:
    """A CPU's share of a cache (``struct kmem_cache_cpu``)."""

    __slots__ = ("free", "partial", "slab")

    def __init__(self) -> None:
        self.slab: Slab | None = None
        self.free: list[int] = []
        """The active slab's free list."""
        self.partial: list[Slab] = []
        """Slabs with room that wait here; the last is used next."""


@final
class KmemCacheNode:
    """A node's share of a cache."""

    __slots__ = ("nr_slabs", "partial")

    def __init__(self) -> None:
        self.partial: OrderedDict[Slab, None] = OrderedDict()
        self.nr_slabs = 0


@final
class KmemCache:
    """``struct kmem_cache``."""

    __slots__ = (
        "align",
        "allocflags",
        "cpu_slabs",
        "ctor",
        "debug",
        "destroyed",
        "dtor",
        "flags",
        "is_kmalloc",
        "layout",
        "name",
        "nodes",
        "object_size",
        "old_ctor",
        "quarantined",
        "refcount",
        "size",
        "slabs",
        "special",
        "struct",
        "useroffset",
        "usersize",
    )

    def __init__(self, name: str, layout: Layout, ctor: Callable[..., Any] | None = None) -> None:
        self.name = name
        self.layout = layout
        self.object_size = layout.object_size
        """Bytes of an object without metadata."""
        self.size = layout.size
        """Bytes of an object with metadata."""
        self.align = layout.align
        self.flags = layout.flags
        self.ctor = ctor
        self.dtor: Callable[..., Any] | None = None
        self.old_ctor = False
        """Whether constructor and destructor take the three arguments of 2.6.21 and before."""
        self.refcount = 1
        self.useroffset = 0
        self.usersize = 0
        self.allocflags = 0
        """gfp bits that every slab of it is allocated with."""
        self.debug = bool(layout.flags & SLAB_DEBUG_FLAGS)
        self.is_kmalloc = bool(layout.flags & SLAB_KMALLOC)
        self.quarantined = layout.quarantined
        self.special = False
        """Whether freeing takes more than a plain object's: constructor, RCU, debugging."""
        self.destroyed = False
        self.struct: SlabObject | None = None
        """The memory that the structure itself stands in."""
        self.cpu_slabs: dict[int, CpuSlab] = {}
        self.nodes: dict[int, KmemCacheNode] = {}
        self.slabs: dict[Slab, None] = {}

    @property
    def usable(self) -> int:
        """``slab_ksize()``: how much of an object its owner may use after asking ``ksize()``."""
        layout = self.layout
        if layout.red_zone or layout.poison or layout.kasan:
            return self.object_size
        if layout.typesafe or layout.store_user:
            return layout.inuse
        return self.size

    def node(self, nid: int) -> KmemCacheNode:
        """Return the share of a node."""
        found = self.nodes.get(nid)
        if found is None:
            found = self.nodes[nid] = KmemCacheNode()
        return found

    def live(self) -> Iterator[SlabObject]:
        """Every living object."""
        return (o for slab in self.slabs for o in slab.live())

    def merge(self, size: int) -> None:
        """Become the cache of one more name, with objects of ``size`` bytes (``__kmem_cache_alias()``)."""
        self.refcount += 1
        self.object_size = max(self.object_size, size)

    def __repr__(self) -> str:
        return f"<kmem_cache {self.name}>"
