"""What is wrong with the use of a DMA pool: the reports (``mm/dmapool.c``).

The messages are the kernel's. Those about poison, double frees and pairs of addresses come from a kernel with
CONFIG_SLUB_DEBUG_ON only; another one believes its caller, and what follows is what it would do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from kmock.lang.ptr import NULL
from kmock.lang.struct import as_ptr
from kmock.mm.dmapool_block import LINK, DmaBlock
from kmock.mm.dmapool_pool import dma_pool
from kmock.sanitizers.describe import describe, hex_rows, object_info, origin_stacks, place, stack_lines

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.dmapool_block import DmaPage
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

_DMA_POOLS = 0x290
"""Offset of ``dma_pools`` in ``struct device``."""
# In struct dma_pool: the list of pages, the lock's magic and its lockdep key, and the list of pools.
_PAGE_LIST, _LOCK_MAGIC, _LOCK_KEY, _POOLS = 0, 20, 40, 144
_WORDS = {"dma_pool_alloc": (0x24, 4), "dma_pool_free": (0x18, 8)}
"""What each reads first of ``struct dma_page``: the offset there, and how many bytes."""


def report(
    k: Kernel, kind: str, headline: str, lines: list[str], about: Allocation | None, *, key: object = None, **more: Any
) -> None:
    """Report a mistake about a block, or about a pool; without a ``headline`` it is kmock's own."""
    stacks: dict[str, Stack] = {"access": k.capture()} | more.pop("stacks", {})
    if about is not None:
        stacks |= origin_stacks(about)
        lines = [*lines, *describe(k, about.addr, about)]
    k.report(
        kind,
        headline or f"BUG: kmock: {kind} in {k.symbol(stacks['access'])}",
        lines=lines,
        stacks=stacks,
        object=object_info(k, about, about.addr) if about is not None else None,
        key=key if key is not None else (about, "free") if about is not None else None,
        **more,
    )


# -- the pool -------------------------------------------------------------------------------------


def bad_arguments(k: Kernel, why: str) -> None:
    """dma_pool_create() answers with NULL, and not a word."""
    report(k, "dma-pool-create-bad", "", [why], None)


def no_device(k: Kernel) -> NoReturn:
    """``list_empty(&dev->dma_pools)`` without a device."""
    k.die(
        "dma-null-device",
        f"BUG: kernel NULL pointer dereference, address: {_DMA_POOLS:016x}",
        lines=["#PF: supervisor read access in kernel mode", "#PF: error_code(0x0000) - not-present page"],
    )


def pool_at(k: Kernel, pool: Any, by: str) -> dma_pool:
    """Return the pool that lies where a driver's pointer leads; fault where none does."""
    p = NULL if pool is None else as_ptr(pool)
    phys = k.mem.translate(p) if p else None
    if phys is None:
        k.kasan.page_fault(int(p) + _LOCK_KEY, write=False, origin=p.origin, by=by, n=8)
    found = next((x for x in k.mem.embedded.within(phys, 1) if isinstance(x, dma_pool)), None)
    if found is None:
        k.kasan.check_place(int(p) + _LOCK_KEY, 8, write=False, origin=p.origin, by="__lock_acquire")
        at, n = _WORDS["dma_pool_free"]
        k.kasan.page_fault(at, write=False, origin=None, by=by, n=n)
    return found


def touch(k: Kernel, pool: dma_pool, offset: int, n: int, by: str) -> None:
    """A function of a destroyed pool reads its struct."""
    struct = pool.struct
    k.kasan.check_place(struct.addr + offset, n, write=False, origin=struct, by=by)


def used_after_destroy(k: Kernel, pool: dma_pool, by: str) -> NoReturn:
    """The lock and the list of pages are read from freed memory, and the list leads nowhere."""
    touch(k, pool, _LOCK_KEY, 8, "__lock_acquire")
    touch(k, pool, _LOCK_MAGIC, 4, "do_raw_spin_lock")
    touch(k, pool, _PAGE_LIST, 8, by)
    at, n = _WORDS[by]
    k.kasan.page_fault(at, write=False, origin=None, by=by, n=n)


def destroyed_twice(k: Kernel, pool: dma_pool, *, by_devres: bool) -> None:
    """dma_pool_destroy() of a pool that is gone; where the driver's end does it, both did."""
    if not by_devres:
        touch(k, pool, _POOLS + 8, 8, "__list_del_entry_valid")
        return
    kind = "devm-mixed-double-release"
    own = "BUG: KASAN: use-after-free in __list_del_entry_valid+0x0/0x0" if k.kasan.on else ""
    lines = [f"pool {pool.name} goes with the driver, and was destroyed before by dma_pool_destroy()"]
    report(k, kind, own, lines, pool.struct, hint="let dmam_pool_destroy() end a pool of dmam_pool_create(), or nobody")


def not_managed(k: Kernel, pool: dma_pool) -> None:
    """``WARN_ON(devres_release(...))``: the device does not know the pool."""
    k.warn(
        "dma-pool-managed-mismatch",
        "mm/dmapool.c:527",
        "dmam_pool_destroy",
        lines=[f"pool {pool.name} was made by dma_pool_create(), or is gone"],
        stacks={"access": k.capture(), "allocated": pool.made_at},
    )


def busy(k: Kernel, pool: dma_pool, pages: list[DmaPage]) -> None:
    """The pool goes while blocks are in use: their pages are left as they are."""
    said = [f"{pool.title}: dma_pool_destroy {pool.name}, {int(page.vaddr):016x} busy" for page in pages]
    if not said:
        return
    out = [block for page in pages for block in page.live()]
    if not out:
        # The kernel's count is wrong, by a block that was freed twice: that has been told.
        k.log.write_all(said)
        return
    stacks = {"allocated": out[0].alloc_stack}
    lines = [*said[1:], *(f"block {b.addr:016x} was allocated at {place(b.alloc_stack)}" for b in out)]
    key = (pool, "busy")
    report(k, "dma-pool-destroy-busy", said[0], lines, None, key=key, stacks=stacks, attributes={"count": len(out)})


def left_over(k: Kernel, pool: dma_pool) -> None:
    """The device lost its driver, or the machine ends, and nobody destroyed the pool."""
    dev = pool.dev
    headline = ""
    if pool.pages and getattr(dev.bus, "dma_debug", False) and not k.dma.debug.disabled:
        text = "device driver has pending DMA allocations while released from device"
        headline = f"DMA-API: {pool.title}: {text} [count={len(k.dma.debug.of_device(dev))}]"
    lines = [
        f"pool {pool.name} has {pool.in_use} blocks of {pool.size} bytes in use, and {len(pool.pages)} pages",
        "made at:",
        *stack_lines(pool.made_at),
    ]
    report(k, "dma-pool-leak", headline, lines, None, key=(pool, "leak"), stacks={"access": pool.made_at})


# -- blocks ---------------------------------------------------------------------------------------


def check_poison(k: Kernel, pool: dma_pool, page: DmaPage, offset: int, poison: int) -> None:
    """A free block is about to be handed out: everything behind its link should be poison."""
    data = k.ram.bytes[page.phys + offset : page.phys + offset + pool.size].tobytes()
    if data[LINK:].count(poison) == len(data) - LINK:
        return
    block = page.blocks.get(offset)
    address = int(page.vaddr) + offset
    rows = [f"{int(row[:16], 16):08x}{row[16:]}" for row in hex_rows(0, data)]
    headline = f"{pool.title}: dma_pool_alloc {pool.name}, {address:016x} (corrupted)"
    report(k, "dma-pool-write-after-free", headline, rows, block, key=(block or address, "dma", False))


def may_free(k: Kernel, pool: dma_pool, page: DmaPage, vaddr: Ptr, dma: int) -> bool:
    """Look at a block that comes back to a page that has its bus address; whether the kernel takes it."""
    offset = int(vaddr) - int(page.vaddr)
    stale = _stale(vaddr)
    if offset != dma - page.dma:
        headline = f"{pool.title}: dma_pool_free {pool.name}, {int(vaddr):016x} (bad vaddr)/{dma:#018x}"
        said = headline if pool.debugged else ""
        lines = [f"the device's address {dma:#x} is that of {int(page.vaddr) + dma - page.dma:016x}"]
        about = page.blocks.get(dma - page.dma)
        report(k, "dma-pool-addr-mismatch", said, lines, about, key=(pool, "pair", int(vaddr), dma))
        return not pool.debugged
    block = page.probe(int(vaddr))
    if block is None or block.offset != offset:
        lines = [f"{int(vaddr):016x} is not where a block of the pool begins"]
        report(k, "dma-pool-addr-mismatch", "", lines, block, key=(pool, "pair", int(vaddr), dma))
        return True
    if not block.live or (stale is not None and stale is not block):
        return _double_free(k, pool, block, stale, dma)
    return True


def _stale(vaddr: Ptr) -> DmaBlock | None:
    return vaddr.origin if isinstance(vaddr.origin, DmaBlock) and not vaddr.origin.live else None


def _double_free(k: Kernel, pool: dma_pool, block: DmaBlock, stale: DmaBlock | None, dma: int) -> bool:
    """A block is freed that is free; or somebody else's by now, who loses it."""
    about = block if stale is None else stale
    free = not block.live
    said = f"{pool.title}: dma_pool_free {pool.name}, dma {dma:#018x} already free" if pool.debugged and free else ""
    lines = [] if free else [f"the block has a new owner, who allocated it at {place(block.alloc_stack)}"]
    report(k, "dma-pool-double-free", said, lines, about)
    first = k.reports.find((about, "free"))
    if not free and first is not None:
        k.reports.also(first, (block, "free"), (block, "dma", False))
    return not (pool.debugged and free)


def bad_dma(k: Kernel, pool: dma_pool, vaddr: Ptr, dma: int) -> None:
    """The bus address is in no page of the pool."""
    origin = vaddr.origin or (k.mem.owner(vaddr) if vaddr else None)
    kind = "dma-pool-wrong-pool"
    lines: list[str] = []
    if isinstance(origin, DmaBlock):
        mine = origin.page.pool is pool
        kind = "dma-pool-addr-mismatch" if mine else kind
        lines = [] if mine else [f"the block belongs to pool {origin.page.pool.name}"]
    elif origin is not None:
        kind = "kfree-of-dma-pool"
        lines = [f"this memory is {origin.what}, and goes back with {origin.undo}()"]
        k.census.told(origin)
    headline = f"{pool.title}: dma_pool_free {pool.name}, {int(vaddr):016x}/{dma:#018x} (bad dma)"
    report(k, kind, headline, lines, origin, key=(pool, "pair", int(vaddr), dma))


def device_after_free(k: Kernel, block: DmaBlock, start: int, n: int, *, write: bool) -> None:
    """The device uses a block that the driver gave back: the free came too early, and that is the place to mend."""
    does = "writes" if write else "reads"
    lines = [f"the device {does} {n} bytes at offset {start} of the pool's memory, where the block is free"]
    stacks = {"access": block.free_stack or (), "device": k.capture()}
    report(k, "dma-pool-device-after-free", "", lines, block, key=(block, "dma", False), stacks=stacks)
