"""Frees that go wrong: what the slab allocator says of them.

What a wrong free does, and which line is printed first, depends on how the kernel was built (KASAN, ``slub_debug``,
neither), so each case asks the machine. The good paths are in :mod:`kmock.mm.slub`; nothing here runs on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from kmock.mm.layout import MAX_ERRNO
from kmock.mm.page import PageBlock, PG_head
from kmock.mm.slab import Slab, SlabObject
from kmock.sanitizers.describe import origin_stacks, place
from kmock.sanitizers.object import Allocation, FailedAllocation
from kmock.sanitizers.slub_debug import slab_line
from kmock.stack import user_frames

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.mm.slab import KmemCache

SIZE_MAX: Final = (1 << 64) - 1
KINDS_BY_UNDO: Final = {
    "vfree": "kfree-of-vmalloc",
    "vunmap": "kfree-of-vmalloc",
    "kvfree": "kvfree-mismatch",
    "devm_kfree": "kfree-of-devm",
    "free_percpu": "kfree-of-percpu",
    "dma_free_coherent": "kfree-of-coherent",
    "dma_pool_free": "kfree-of-dma-pool",
    "mempool_free": "kfree-of-mempool",
    "kfree_rcu": "slab-double-free",
}
"""Kind of report for giving kfree() what another call must take back."""

# Bytes that slub_debug leaves where nothing was ever stored, or in freed memory: a pointer of them was read from there.
_POISONED: Final = frozenset((0x5A5A5A5A5A5A5A5A, 0x6B6B6B6B6B6B6B6B))


# -- kfree() --------------------------------------------------------------------------------------


def free(k: Kernel, ptr: int, by: str) -> None:
    """kfree() of something that is not a living kmalloc object's start."""
    address = int(ptr)
    about: Allocation | None = getattr(ptr, "origin", None)
    if about is None or isinstance(about, FailedAllocation):
        about = k.mem.owner(address)
        if isinstance(about, SlabObject) and about.live and about.addr == address:
            k.slab.release(about)
            return
    if isinstance(about, SlabObject):
        _slab_object(k, ptr, about, by)
    elif isinstance(about, PageBlock):
        _pages(k, address, about, by)
    elif about is not None:
        _foreign(k, address, about, by)
    else:
        _nobody(k, address, by)


def _slab_object(k: Kernel, ptr: int, o: SlabObject, by: str) -> None:
    address = int(ptr)
    if o.live and (undo := k.slab.claims.get(o.seq)):
        _claimed(k, address, o, undo, by)
    elif o.live:
        # `&s->member` has the bounds of the member; arithmetic has none.
        _interior(k, address, o, by, member=getattr(ptr, "bounds", None) is not None)
    else:
        _freed(k, address, o, by)


def _claimed(k: Kernel, address: int, o: SlabObject, undo: str, by: str) -> None:
    """kfree() of an object that another subsystem handed on; the kernel can't tell if it is the object's start."""
    kind = KINDS_BY_UNDO.get(undo, "free-of-typed-object")
    name = "invalid-free" if address != o.addr else ""
    if name and k.config.kmemleak:
        k.kmemleak.alias(address, k.kmemleak.lookup(address))
    k.kasan.report_free(kind, name, by, address, o, headline=_own(k, kind, by, name), hint=_hint(undo, by))
    if not name:
        del k.slab.claims[o.seq]
        k.slab.release(o)


def _interior(k: Kernel, address: int, o: SlabObject, by: str, *, member: bool = False) -> None:
    kind = "slab-member-free" if member else "slab-interior-free"
    cache = o.slab.cache
    if k.config.kmemleak:
        k.log.write(f"kmemleak: Found object by alias at 0x{address:x}")
    if cache.layout.checked and not k.kasan.on:
        lines = [slab_line(o.slab), f"FIX {cache.name}: Object at 0x{address:016x} not freed"]
        text = f"Invalid object pointer 0x{address:016x}"
        k.slab.debug.report(kind, o.slab, text, lines, dict(origin_stacks(o)), key=(o, "free"))
        k.census.told(o)
    else:
        k.kasan.report_free(kind, "invalid-free", by, address, o)


def _freed(k: Kernel, address: int, o: SlabObject, by: str) -> None:
    """A stale pointer was freed: a second time, or what has a new owner by now."""
    now = k.mem.owner(address)
    if now is not None and now is not o and now.live and now.addr == address:
        _new_owner(k, address, o, now, by)
        return
    kind = "slab-double-free" if o.free_task is k.current else "slab-double-free-race"
    if _cleans_up_again(k, o):
        kind = "double-cleanup-on-error"
    if o.reserved:
        kind = "kfree-of-mempool"
    slab = o.slab
    cache = slab.cache
    if cache.layout.checked and not k.kasan.on and slab in cache.slabs:
        lines = k.slab.debug.trailer(slab, o.index)
        lines.append(f"FIX {cache.name}: Object at 0x{address:016x} not freed")
        text = "Object already free" if address == o.addr else f"Invalid object pointer 0x{address:016x}"
        k.slab.debug.report(kind, slab, text, lines, dict(origin_stacks(o)), key=(o, "free"))
        return
    silent = cache.layout.typesafe
    name = "" if silent else "double-free"
    headline = f"BUG: kmock: {kind} in {by}()" if silent else ""
    k.kasan.report_free(kind, name, by, address, o, headline=headline)
    if not k.kasan.on and slab in cache.slabs and address == o.addr:
        # Nothing stops SLUB from putting it on the free list again, so that two callers will get it.
        slab.disabled = True
        k.slab.put_back(slab, o.index)


def _cleans_up_again(k: Kernel, o: SlabObject) -> bool:
    """Whether a call was made to fail since ``o`` was allocated, below the very function that frees it again."""
    seq, failed = k.faults.failed
    freeing = user_frames(k.capture())[:1]
    return seq >= o.seq and any(
        f.function == g.function and f.file == g.file for f in user_frames(failed) for g in freeing
    )


def _new_owner(k: Kernel, address: int, o: SlabObject, now: Allocation, by: str) -> None:
    """Free an object for its new owner, as the kernel does; what follows for that owner is part of this finding."""
    report = k.report(
        "slab-double-free",
        f"BUG: kmock: slab-double-free in {by}()",
        lines=[
            f"Free of addr {address:016x} by task {k.current!r}",
            *k.kasan.describe(address, o),
            f"The memory has a new owner: {now.what}, allocated at {place(now.alloc_stack)}",
        ],
        stacks={"access": k.capture(), **origin_stacks(o), "owner allocated": now.alloc_stack},
        object=k.kasan.info(o, address),
        key=(o, "free"),
        taint="B",
    )
    if report is not None:
        k.reports.also(report, (now, "free"), (now, "slab", False))
    if isinstance(now, SlabObject):
        k.slab.release(now)


def _pages(k: Kernel, address: int, block: PageBlock, by: str) -> None:
    page = k.memmap.page(address - k.layout.page_offset >> 12)
    if not block.live:
        _freed_pages(k, address, block, page, by)
    elif block.call == "kmalloc":
        if address != block.addr:
            kind = KINDS_BY_UNDO.get(k.slab.claims.get(block.seq, ""), "slab-interior-free")
            k.kasan.report_free(kind, "invalid-free", by, address, block)
        elif undo := k.slab.claims.pop(block.seq, ""):
            kind = KINDS_BY_UNDO.get(undo, "free-of-typed-object")
            headline = f"BUG: kmock: {kind} in {by}()"
            k.kasan.report_free(kind, "", by, address, block, headline=headline, hint=_hint(undo, by))
        k.page_alloc.drop(block.page, block.order)
    elif page.compound_head.test(PG_head):
        head = page.compound_head
        if address != k.layout.page_offset + head.phys:
            k.kasan.report_free("kfree-of-page", "invalid-free", by, address, block, hint=_hint(block.undo, by))
        else:
            kind = "kfree-of-compound-page"
            headline = f"BUG: kmock: {kind} in {by}()"
            k.kasan.report_free(kind, "", by, address, block, headline=headline, hint=_hint(block.undo, by))
        k.page_alloc.drop(head, head.order)
    else:
        _large_order_zero(k, KINDS_BY_UNDO.get(block.undo, "kfree-of-page"), address, block, hint=_hint(block.undo, by))
        k.page_alloc.drop(page, 0)


def _large_order_zero(k: Kernel, kind: str, address: int, block: Allocation, hint: str = "") -> None:
    """``WARN_ON_ONCE(order == 0)`` of free_large_kmalloc()."""
    k.warn(
        kind,
        "mm/slab_common.c:904",
        "free_large_kmalloc",
        lines=[f"object pointer: 0x{address:016x}"],
        stacks={"access": k.capture(), **origin_stacks(block)},
        object=k.kasan.info(block, address),
        key=block,
        hint=hint,
    )


def _freed_pages(k: Kernel, address: int, block: PageBlock, page: Page, by: str) -> None:
    """kfree() of pages that went back already: they count as a large kmalloc of order 0 with no reference."""
    cpu = k.cpu
    warning = f"WARNING: CPU: {cpu.id} PID: {cpu.task.pid} at mm/slab_common.c:904 free_large_kmalloc+0x0/0x0"
    said = [warning, f"object pointer: 0x{address:016x}"]
    if k.kasan.on:
        said.append(f"BUG: KASAN: double-free in {by}+0x0/0x0")
        said.append(f"Free of addr {address:016x} by task {k.current!r}")
    stacks = {"access": k.capture(), **origin_stacks(block)}
    if k.page_alloc.is_free(address) and k.config.debug_vm:
        said.append("page dumped because: VM_BUG_ON_PAGE(page_ref_count(page) == 0)")
        k.bug("slab-double-free", "include/linux/mm.h:780", headlines=said, stacks=stacks)
    k.report("slab-double-free", said[0], lines=said[1:], stacks=stacks, key=(block, "free"), taint="W")


def _foreign(k: Kernel, address: int, about: Allocation, by: str) -> None:
    """kfree() of what another allocator gave."""
    kind = getattr(about, "stale_kind", "") or KINDS_BY_UNDO.get(about.undo, "slab-free-non-heap")
    if about.area == "global":
        _global(k, address, about, by)
        return
    if about.area == "dma-pool":
        _large_order_zero(k, kind, address, about, hint=_hint(about.undo, by))
        return
    if k.mem.translate(address) is not None and not k.layout.is_vmalloc(address) and about.area != "stack":
        k.kasan.report_free(kind, "invalid-free", by, address, about, hint=_hint(about.undo, by))
        return
    _fault(k, kind, address, about, hint=_hint(about.undo, by))


def _global(k: Kernel, address: int, about: Allocation, by: str) -> None:
    """kfree() of a variable of the kernel's image: its page looks like one of order 0, and is kept from being freed."""
    phys = k.mem.translate(address) or 0
    struct_page = k.layout.vmemmap + (phys >> 12) * 64
    fields = "mapcount:0 mapping:0000000000000000 index:0x0"
    said = [f"object pointer: 0x{address:016x}"]
    if k.config.kmemleak:
        said.append(f"kmemleak: Found object by alias at 0x{address:x}")
    if k.kasan.on:
        said += [f"BUG: KASAN: invalid-free in {by}+0x0/0x0", f"Free of addr {address:016x} by task {k.current!r}"]
    said += [
        f"BUG: Bad page state in process {k.current.comm}  pfn:{phys >> 12:05x}",
        f"page:{struct_page:016x} refcount:0 {fields} pfn:{phys >> 12:#x}",
        "page dumped because: PAGE_FLAGS_CHECK_AT_FREE flag(s) set",
    ]
    k.warn(
        "slab-free-non-heap",
        "mm/slab_common.c:904",
        "free_large_kmalloc",
        lines=said,
        stacks={"access": k.capture(), **origin_stacks(about)},
        object=k.kasan.info(about, address),
        key=(about, "free"),
    )


def _nobody(k: Kernel, address: int, by: str) -> None:
    """kfree() of an address that nobody allocated."""
    page = k.memmap.pages.get(address - k.layout.page_offset >> 12)
    if page is not None and isinstance(page.owner, Slab):
        free = page.owner.index_of(address) >= 0
        kind, name = ("slab-double-free", "double-free") if free else ("slab-interior-free", "invalid-free")
        k.kasan.report_free(kind, name, by, address, None)
    elif address in _POISONED:
        _fault(k, "slab-free-uninit-pointer", address, None)
    elif address > SIZE_MAX - MAX_ERRNO:
        _fault(k, "slab-free-err-ptr", address, None)
    elif page is not None and k.page_alloc.is_free(address):
        said = [f"object pointer: 0x{address:016x}"]
        k.warn("slab-free-non-heap", "mm/slab_common.c:904", "free_large_kmalloc", lines=said)
    else:
        _fault(k, "slab-free-non-heap", address, None)


def _fault(k: Kernel, kind: str, address: int, about: Allocation | None, hint: str = "") -> NoReturn:
    """``virt_to_folio()`` looks where no struct page is."""
    if about is not None:
        k.census.told(about)
    frame = (address - k.layout.page_offset & SIZE_MAX) >> 12
    where = k.layout.vmemmap + frame * 64 & SIZE_MAX
    k.die(
        kind,
        f"BUG: unable to handle page fault for address: {where:016x}",
        lines=[
            "#PF: supervisor read access in kernel mode",
            "#PF: error_code(0x0000) - not-present page",
            f"Oops: 0000 [#{k.oopses + 1}] {k.build}",
            "RIP: 0010:virt_to_folio+0x0/0x0",
            *k.kasan.describe(address, about),
        ],
        stacks={"access": k.capture(), **(origin_stacks(about) if about is not None else {})},
        object=k.kasan.info(about, address) if about is not None else None,
        hint=hint,
    )


def _own(k: Kernel, kind: str, by: str, name: str) -> str:
    """Kmock's own headline where the kernel has none; empty where it has."""
    return "" if name and k.kasan.on else f"BUG: kmock: {kind} in {by}()"


def _hint(undo: str, by: str) -> str:
    known = undo in KINDS_BY_UNDO or undo in {
        "kmem_cache_free",
        "kfree",
        "__free_pages",
        "free_pages",
        "free_pages_exact",
    }
    return f"this memory is given back with {undo}(), not {by}()" if known and undo != by else ""


# -- kmem_cache_free() ----------------------------------------------------------------------------


def cache_free(k: Kernel, cache: KmemCache, ptr: int) -> None:
    """kmem_cache_free() of something that is not a living object of ``cache``."""
    address = int(ptr)
    about: Allocation | None = getattr(ptr, "origin", None)
    if not isinstance(about, SlabObject):
        about = k.mem.owner(address) if address > MAX_ERRNO else None
    if not isinstance(about, SlabObject):
        _not_a_slab(k, cache, address, about)
    elif not about.live:
        _freed(k, address, about, "kmem_cache_free")
    elif about.addr != address:
        _interior(k, address, about, "kmem_cache_free")
    elif about.slab.cache is not cache:
        _wrong_cache(k, cache, address, about)
    elif undo := k.slab.claims.get(about.seq):
        _claimed(k, address, about, undo, "kmem_cache_free")
    else:
        k.slab.release(about)


def _wrong_cache(k: Kernel, cache: KmemCache, address: int, o: SlabObject) -> None:
    kind = "cache-wrong-cache-free"
    stacks = {"access": k.capture(), **origin_stacks(o)}
    hint = f"the object is from cache {o.cache_name}, not from {cache.name}"
    if cache.layout.checked:
        text = f"cache_from_obj: Wrong slab cache. {cache.name} but object is from {o.cache_name}"
        k.warn(kind, "mm/slab.h:665", "kmem_cache_free", text, stacks=stacks, key=(o, "free"), hint=hint)
    elif k.kasan.on and (address - o.slab.base) % cache.size:
        # nearest_obj() reckons with the wrong cache's stride.
        k.kasan.report_free(kind, "invalid-free", "kmem_cache_free", address, o, hint=hint)
        return
    else:
        headline = f"BUG: kmock: {kind} in kmem_cache_free()"
        k.kasan.report_free(kind, "", "kmem_cache_free", address, o, headline=headline, hint=hint)
    k.slab.release(o)


def _not_a_slab(k: Kernel, cache: KmemCache, address: int, about: Allocation | None) -> None:
    """``virt_to_slab()`` finds none: the checks say so, without them its absence is followed."""
    kind = "cache-free-foreign"
    stacks = {"access": k.capture(), **(origin_stacks(about) if about is not None else {})}
    hint = _hint(about.undo, "kmem_cache_free") if about is not None else ""
    if about is not None:
        k.census.told(about)
    if k.mem.translate(address) is None or k.layout.is_vmalloc(address):
        _fault(k, kind, address, about, hint=hint)
    if cache.layout.checked:
        text = "virt_to_cache: Object is not a Slab page!"
        k.warn(kind, "mm/slab.h:630", "kmem_cache_free", text, stacks=stacks, key=(address, "free"), hint=hint)
        return
    # KASAN looks for the number of objects in the slab that is not there, plain SLUB for its free list.
    offset = 0x28 if k.kasan.on else 0x20
    fault = f"BUG: kernel NULL pointer dereference, address: {offset:016x}"
    lines = [
        "#PF: supervisor read access in kernel mode",
        "#PF: error_code(0x0000) - not-present page",
        f"Oops: 0000 [#{k.oopses + 1}] {k.build}",
    ]
    k.die(kind, fault, lines=lines, stacks=stacks, hint=hint)


def cache_object(k: Kernel, o: SlabObject) -> None:
    """kfree() of a cache's object: SLUB finds the cache, other allocators did not."""
    k.kasan.report_free(
        "kfree-of-kmem-cache",
        "",
        "kfree",
        o.addr,
        o,
        headline="BUG: kmock: kfree-of-kmem-cache in kfree()",
        hint=_hint("kmem_cache_free", "kfree"),
    )


# -- objects on their way -------------------------------------------------------------------------


def may_go(k: Kernel, o: SlabObject) -> bool:
    """Look at an object of a special cache, and clear it where it is to be; return whether it may really be freed."""
    cache = o.slab.cache
    if k.slab.sensitive is not None:
        k.slab.sensitive.check(o)
    if cache.ctor is not None:
        _constructed(k, o)
    elif k.slab.init_on_free and not cache.layout.typesafe:
        k.ram.bytes[o.phys : o.phys + cache.object_size] = bytes(cache.object_size)
    if cache.debug and not k.slab.debug.may_free(o):
        k.slab.retire(o)
        return False
    return True


def _constructed(k: Kernel, o: SlabObject) -> None:
    """Report an object that goes back otherwise than its constructor left it."""
    written, then = o.slab.constructed[o.index]
    now = k.ram.bytes[o.phys : o.phys + len(then)].tobytes()
    if now == then or written == b"":
        return
    changed = [i for i, (a, b) in enumerate(zip(then, now, strict=True)) if a != b and (written is None or written[i])]
    if changed:
        where = f"byte {changed[0]}" if len(changed) == 1 else f"{len(changed)} bytes from byte {changed[0]} on"
        k.report(
            "cache-ctor-state",
            "BUG: kmock: cache-ctor-state in kmem_cache_free()",
            lines=[f"{where} of an object of cache {o.cache_name} differ from what the constructor wrote"],
            stacks={"access": k.capture(), **origin_stacks(o)},
            object=k.kasan.info(o, o.addr + changed[0]),
            key=(o, "ctor"),
        )
