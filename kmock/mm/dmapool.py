"""DMA pools (``mm/dmapool.c``): small blocks that a device can reach, cut from coherent memory.

A free block holds the offset of the next one in its first four bytes, in simulated memory, and what is handed out next
is read from there: whoever writes to a freed block leads the pool astray, as in the kernel. Beside that every block
has a record of who had it, so that the write itself is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.current import current
from kmock.kernel import spinlock
from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm import dmapool_misuse as misuse
from kmock.mm.dmapool_block import LINK, DmaBlock, DmaPage
from kmock.mm.dmapool_pool import PAGE_SIZE, Shape, dma_pool, shape
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.might_alloc import might_alloc
from kmock.mm.page_addr import null
from kmock.sanitizers.object import SCAN_HELD, UNWRITTEN
from kmock.stack import capture

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.machine import Kernel
    from kmock.sanitizers.dma_entry import Mapping
    from kmock.sanitizers.object import Allocation

POOL_POISON_FREED: Final = 0xA7
POOL_POISON_ALLOCATED: Final = 0xA9
_PAGE_STRUCT: Final = 48
_POINTER: Final = 8
_SIZES: Final = {True: 160, False: dma_pool.C_SIZE}
"""sizeof(struct dma_pool), with and without lock debugging."""


class DmaPools:
    """The DMA pools of one machine."""

    __slots__ = ("kernel", "pools")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.pools: dict[device, list[dma_pool]] = {}
        """By device, the youngest first (``dev->dma_pools``)."""
        kernel.census.register(self._finish)
        # Before dma-debug tells of the pool's pages.
        kernel.devices.unbound.insert(0, self._unbound)

    def _unbound(self, dev: device) -> None:
        for pool in self.pools.pop(dev, [])[::-1]:
            misuse.left_over(self.kernel, pool)

    def end_call(self, began: int) -> None:
        """The test's call is over: report the pools that it made, after allocation ``began``, and that are still there."""
        k = self.kernel
        for pool in [pool for mine in self.pools.values() for pool in mine]:
            if pool.struct.seq > began and not pool.managed and not k.modules.made(pool.struct):
                misuse.left_over(k, pool)

    def _finish(self) -> None:
        for dev in list(self.pools):
            self._unbound(dev)

    def info(self, dev: device) -> str:
        """``pools_show()``: the device's file ``pools``."""
        text = "poolinfo - 0.1\n" + "".join(pool.info() for pool in self.pools.get(dev, ()))
        return text[:PAGE_SIZE]

    # -- pools ------------------------------------------------------------------------------------

    def create(self, name: str | bytes, dev: device, size: int, align: int, boundary: int) -> dma_pool | Ptr:
        """``dma_pool_create()``: a pool, or NULL."""
        k = self.kernel
        form = shape(size, align, boundary)
        if not isinstance(form, Shape):
            misuse.bad_arguments(k, form)
            return NULL
        might_alloc(k, GFP_KERNEL, "dma-pool-atomic")
        p = k.slab.kmalloc(_SIZES[k.config.lockdep], GFP_KERNEL)
        if not p:
            return p
        assert p.origin is not None
        if not dev:
            misuse.no_device(k)
        pool = dma_pool(name.decode() if isinstance(name, bytes) else name, dev, size, form, p.origin)
        pool.made_at = capture(2)
        pool.debugged = not k.config.kasan
        p.origin.scan |= SCAN_HELD  # it is on the device's list
        k.mem.embedded.put(p, pool)
        k.atomic_sleep.might_sleep("kernel/locking/mutex.c:580", "dma-pool-atomic")
        return pool if self._enlist(pool) else NULL

    def _enlist(self, pool: dma_pool) -> bool:
        """Put a pool on its device's list; the first one makes the file ``pools``, without which there is no pool."""
        k = self.kernel
        dev = pool.dev
        mine = self.pools.setdefault(dev, [])
        mine.insert(0, pool)
        if len(mine) > 1:
            return True
        if dev.kobj.sd is None:
            k.warn("kobject-uninit", "fs/sysfs/file.c:355", "sysfs_create_file_ns", key=dev)
        elif not k.sysfs.create_file(dev.kobj.sd, "pools", lambda: self.info(dev)):
            return True
        del self.pools[dev]
        self._free_struct(pool.struct)
        return False

    def _delist(self, pool: dma_pool) -> None:
        dev = pool.dev
        mine = self.pools.get(dev, [])
        if pool in mine:
            mine.remove(pool)
        if not mine and self.pools.pop(dev, None) is not None and dev.kobj.sd is not None:
            self.kernel.sysfs.remove(dev.kobj.sd, "pools")

    def destroy(self, pool: Any, *, by_devres: bool = False) -> None:
        """``dma_pool_destroy()``; NULL is nothing to do."""
        if not pool:
            return
        k = self.kernel
        pool = self._pool(pool, "dma_pool_destroy")
        k.atomic_sleep.might_sleep("kernel/locking/mutex.c:580", "dma-pool-atomic")
        if not pool.live:
            misuse.destroyed_twice(k, pool, by_devres=by_devres)
            return
        self._delist(pool)
        busy = [page for page in pool.pages if page.in_use]
        misuse.busy(k, pool, busy)
        for page in pool.pages:
            if page not in busy:
                self._free_page(pool, page)
            self._free_struct(page.struct)
        pool.pages = []
        self._free_struct(pool.struct)

    def _free_struct(self, struct: Allocation) -> None:
        struct.scan &= ~SCAN_HELD
        self.kernel.slab.kfree(make_ptr(struct.addr, struct))

    def _pool(self, pool: Any, by: str) -> dma_pool:
        """Return the pool that a driver passes: itself, or a pointer to where it lies."""
        return pool if pool.__class__ is dma_pool else misuse.pool_at(self.kernel, pool, by)

    # -- pages ------------------------------------------------------------------------------------

    def _new_page(self, pool: dma_pool, gfp: int) -> DmaPage | None:
        """``pool_alloc_page()``: more coherent memory, cut into free blocks."""
        k = self.kernel
        struct = k.slab.kmalloc(_PAGE_STRUCT, gfp)
        if not struct:
            return None
        assert struct.origin is not None
        vaddr, dma = k.dma.memory.alloc(pool.dev, pool.allocation, gfp, 0)
        if not vaddr:
            k.slab.kfree(struct)
            return None
        struct.origin.scan |= SCAN_HELD
        page = DmaPage(pool, struct.origin, vaddr, dma, vaddr.origin)  # type: ignore[arg-type]  # a PageBlock
        page.block.scan |= SCAN_HELD  # the pool answers for it
        self._own(page, page)
        if pool.debugged:
            page.fill(k, 0, pool.allocation, POOL_POISON_FREED)
        for at, following in zip(pool.starts, pool.starts[1:], strict=False):
            page.set_word(k, at, following)
        return page

    def _own(self, page: DmaPage, owner: object) -> None:
        first = page.block.page
        for i in range(1 << page.block.order):
            (first + i).owner = owner

    def _free_page(self, pool: dma_pool, page: DmaPage) -> None:
        k = self.kernel
        if pool.debugged:
            page.fill(k, 0, pool.allocation, POOL_POISON_FREED)
        self._own(page, page.block)
        k.dma.memory.free(pool.dev, pool.allocation, page.vaddr, page.dma, 0)

    # -- blocks -----------------------------------------------------------------------------------

    def alloc(self, pool: Any, gfp: int) -> tuple[Ptr, int]:
        """``dma_pool_alloc()``: the processor's address of a block and the device's; (NULL, 0) without memory."""
        k = self.kernel
        pool = self._pool(pool, "dma_pool_alloc")
        might_alloc(k, gfp, "dma-pool-atomic")
        if not pool.live:
            misuse.used_after_destroy(k, pool, "dma_pool_alloc")
        flags = spinlock.lock_irqsave(k, pool.lock, "spin_lock_irqsave")
        page = next((page for page in pool.pages if page.offset < pool.allocation), None)
        if page is None:
            # More memory may be worth a sleep.
            spinlock.unlock_irqrestore(k, pool.lock, flags, "spin_unlock_irqrestore")
            page = self._new_page(pool, gfp & ~GFP_ZERO)
            if page is None:
                return null("dma_pool_alloc", pool.size), 0
            flags = spinlock.lock_irqsave(k, pool.lock, "spin_lock_irqsave")
            pool.pages.insert(0, page)
        found = self._take(pool, page, gfp)
        spinlock.unlock_irqrestore(k, pool.lock, flags, "spin_unlock_irqrestore")
        return found

    def _take(self, pool: dma_pool, page: DmaPage, gfp: int) -> tuple[Ptr, int]:
        k = self.kernel
        offset = page.offset
        page.in_use += 1
        page.offset = page.word(k, offset)
        zero = bool(gfp & GFP_ZERO or k.slab.init_on_alloc)
        if pool.debugged:
            misuse.check_poison(k, pool, page, offset, POOL_POISON_FREED)
            page.fill(k, offset, pool.size, POOL_POISON_ALLOCATED)
        if zero:
            page.fill(k, offset, pool.size, 0)
        written = UNWRITTEN if k.config.initmem and not zero else None
        return page.take(k, offset, capture(4), written=written), page.dma + offset

    def free(self, pool: Any, vaddr: Ptr, dma: int) -> None:
        """``dma_pool_free()``: the block at ``vaddr``, which the device knows as ``dma``."""
        k = self.kernel
        pool = self._pool(pool, "dma_pool_free")
        if not pool.live:
            misuse.used_after_destroy(k, pool, "dma_pool_free")
        flags = spinlock.lock_irqsave(k, pool.lock, "spin_lock_irqsave")
        page = pool.page_at(dma)
        if page is None:
            misuse.bad_dma(k, pool, vaddr, dma)
        elif misuse.may_free(k, pool, page, vaddr, dma):
            self._put(pool, page, vaddr)
        spinlock.unlock_irqrestore(k, pool.lock, flags, "spin_unlock_irqrestore")

    def _put(self, pool: dma_pool, page: DmaPage, vaddr: Ptr) -> None:
        k = self.kernel
        if not vaddr:
            k.kasan.page_fault(0, write=True, origin=vaddr.origin, by="dma_pool_free", n=LINK)
        offset = int(vaddr) - int(page.vaddr)
        page.in_use -= 1
        following, page.offset = page.offset, offset & 0xFFFF_FFFF
        if not 0 <= offset < pool.allocation:
            k.mem.poke(int(vaddr), (following & 0xFFFF_FFFF).to_bytes(LINK, "little"))
            return
        block = page.blocks.get(offset)
        if block is not None and block.live:
            self._end(block)
        if k.slab.init_on_free:
            page.fill(k, offset, pool.size, 0)
        if pool.debugged:
            page.fill(k, offset, pool.size, POOL_POISON_FREED)
        page.set_word(k, offset, following)

    def _end(self, block: DmaBlock) -> None:
        k = self.kernel
        if k.mem.origins:
            k.mem.forget_origins(block.phys, block.size)
        block.live = False
        block.free_stack = capture(4)
        block.free_task = k.current

    # -- the device -------------------------------------------------------------------------------

    def device_accessed(self, m: Mapping, start: int, n: int, *, write: bool) -> None:
        """The device accesses ``n`` bytes from ``start`` on in coherent memory: look at the blocks there."""
        k = self.kernel
        page = k.memmap.page(m.phys >> 12).owner
        if not isinstance(page, DmaPage):
            return
        for block in [b for b in page.blocks.values() if b.offset < start + n and start < b.offset + page.pool.size]:
            if not block.live:
                misuse.device_after_free(k, block, start, n, write=write)
            elif write:
                block.mark_written(max(start - block.offset, 0), min(start + n - block.offset, block.size))
            elif block.written is not None:
                first = max(start, block.offset)
                size = min(start + n, block.offset + block.size) - first
                if size > 0:
                    k.kmsan.check_leaves(make_ptr(int(page.vaddr) + first, block), size, m.dma + first, "device")

    # -- managed ----------------------------------------------------------------------------------

    def create_managed(self, name: str, dev: device, size: int, align: int, boundary: int) -> dma_pool | Ptr:
        """``dmam_pool_create()``: a pool that goes with the driver, or NULL."""
        k = self.kernel
        node = k.devres.alloc(dmam_pool_release, _POINTER, GFP_KERNEL)
        if node is None:
            return NULL
        pool = self.create(name, dev, size, align, boundary)
        if not pool:
            k.devres.free(node)
            return pool
        assert isinstance(pool, dma_pool)
        pool.managed = True
        node.res = pool
        k.devres.add(dev, node)
        return pool

    def destroy_managed(self, pool: Any) -> None:
        """``dmam_pool_destroy()``."""
        k = self.kernel
        pool = self._pool(pool, "dmam_pool_destroy")
        if k.devres.release(pool.dev, dmam_pool_release, lambda _dev, res, data: res is data, pool):
            misuse.not_managed(k, pool)


def dmam_pool_release(_dev: device, pool: dma_pool) -> None:
    """The driver lets go of the device."""
    current.get().dma_pools.destroy(pool, by_devres=True)
