"""ehci: a driver for a host controller that walks linked lists in memory.

The C idiom: what the hardware reads by itself lies in coherent memory, and small structures of one kind come from a DMA
pool each, aligned to 32 bytes and inside one page, as the hardware wants them. A structure has two addresses: links between
structures are the device's, and the driver keeps its own beside them. Lists grow by writing the new element whole
before the one link that makes it visible, and shrink in two steps: unlink, then wait until the controller says that it
has forgotten the element. Only then its memory goes back to the pool.
"""

from contextlib import ExitStack

from kmock.linux.completion import complete, completion, init_completion, reinit_completion, wait_for_completion_timeout
from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    DMA_TO_DEVICE,
    dma_map_single,
    dma_mapping_error,
    dma_set_mask_and_coherent,
    dma_unmap_single,
)
from kmock.linux.dmapool import dma_pool_alloc, dma_pool_create, dma_pool_destroy, dma_pool_free, dma_pool_zalloc
from kmock.linux.errno import EFAULT, EINVAL, EIO, ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.interrupt import IRQ_HANDLED, IRQ_NONE, free_irq, request_irq
from kmock.linux.io import ioremap, iounmap, readl, writel
from kmock.linux.ioport import release_mem_region, request_mem_region
from kmock.linux.jiffies import HZ
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE
from kmock.linux.mutex import mutex, mutex_init, mutex_lock, mutex_unlock
from kmock.linux.platform_device import (
    IORESOURCE_MEM,
    module_platform_driver,
    platform_driver,
    platform_get_irq,
    platform_get_resource,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.string import memset
from kmock.linux.types import Ptr, Struct, addressof, le32, sizeof, u64
from kmock.linux.uaccess import copy_from_user, copy_to_user
from sample_drivers.ehci_hw import (
    ASYNC,
    CMD,
    CMD_DOORBELL,
    CMD_RUN,
    LINK_END,
    PERIODIC,
    STS,
    STS_IAA,
    STS_INT,
    TOKEN_ACTIVE,
    TOKEN_BYTES,
    TOKEN_IN,
)

ALIGN = 32
BOUNDARY = 4096
CHUNK = 512
MAX_BYTES = 8 * CHUNK
PATIENCE = HZ

MODULE_LICENSE("GPL")


class ehci_qh(Struct):
    """A queue head: the first three words are the hardware's."""

    hw_next: le32
    hw_info: le32
    hw_qtd: le32
    dma: u64


class ehci_qtd(Struct):
    """One transfer of a queue."""

    hw_next: le32
    hw_token: le32
    hw_buffer: le32
    dma: u64
    next: Ptr


class ehci_itd(Struct):
    """The periodic element: the hardware counts frames in it."""

    hw_next: le32
    hw_status: le32
    hw_frames: le32
    dma: u64


class ehci_hcd:
    """What the driver knows of the one controller."""

    def __init__(self, dev):
        self.dev = dev
        self.lock = mutex()
        self.done = completion()
        self.forgotten = completion()
        self.last = None


hcd = None


# -- the lists ----------------------------------------------------------------------------------------


def ehci_alloc(struct, pool, zeroed=True):
    memory, dma = (dma_pool_zalloc if zeroed else dma_pool_alloc)(pool, GFP_KERNEL)
    if not memory:
        return None
    element = struct.at(memory)
    element.dma = dma
    return element


def ehci_free(pool, element):
    dma_pool_free(pool, addressof(element), element.dma)


def ehci_free_qtds(qtd):
    while qtd:
        following = qtd.next
        ehci_free(hcd.qtd_pool, qtd)
        qtd = ehci_qtd.at(following) if following else None


def ehci_make_qtds(buffer, count, direction):
    """A chain of transfers over a mapped buffer; the last one comes first in the returned pair, None without memory."""
    following, last = None, None
    for at in range((count - 1) // CHUNK * CHUNK, -1, -CHUNK):
        qtd = ehci_alloc(ehci_qtd, hcd.qtd_pool, zeroed=False)
        if not qtd:
            ehci_free_qtds(following)
            return None, None
        n = min(CHUNK, count - at)
        qtd.hw_next = following.dma if following else LINK_END
        qtd.hw_token = n << TOKEN_BYTES | TOKEN_ACTIVE | (TOKEN_IN if direction == DMA_FROM_DEVICE else 0)
        qtd.hw_buffer = buffer + at
        qtd.next = addressof(following) if following else 0
        following, last = qtd, last or qtd
    return following, last


def ehci_link(qh):
    qh.hw_next = hcd.head.hw_next
    hcd.head.hw_next = qh.dma


def ehci_unlink(qh):
    """Take a queue off the ring, and wait until the hardware has forgotten it."""
    hcd.head.hw_next = qh.hw_next
    reinit_completion(hcd.forgotten)
    writel(CMD_RUN | CMD_DOORBELL, hcd.regs + CMD)
    return wait_for_completion_timeout(hcd.forgotten, PATIENCE)


def ehci_run(first, last):
    """Hang a chain of transfers on the ring until it is done: 0 or -errno."""
    qh = ehci_alloc(ehci_qh, hcd.qh_pool)
    if not qh:
        return -ENOMEM
    qh.hw_qtd = first.dma
    reinit_completion(hcd.done)
    hcd.last = last
    ehci_link(qh)
    left = wait_for_completion_timeout(hcd.done, PATIENCE)
    hcd.last = None
    if not ehci_unlink(qh):
        return -EIO  # it may still look there: better lose the memory
    ehci_free(hcd.qh_pool, qh)
    return 0 if left else -EIO


def ehci_interrupt(irq, dev_id):
    status = readl(hcd.regs + STS)
    if not status & (STS_INT | STS_IAA):
        return IRQ_NONE
    writel(status, hcd.regs + STS)
    if status & STS_INT and hcd.last and not hcd.last.hw_token & TOKEN_ACTIVE:
        complete(hcd.done)
    if status & STS_IAA:
        complete(hcd.forgotten)
    return IRQ_HANDLED


# -- its users ----------------------------------------------------------------------------------------


def ehci_transfer(data, count, direction):
    buffer = dma_map_single(hcd.dev, data, count, direction)
    if dma_mapping_error(hcd.dev, buffer):
        return -ENOMEM
    first, last = ehci_make_qtds(buffer, count, direction)
    err = -ENOMEM
    if first:
        mutex_lock(hcd.lock)
        err = ehci_run(first, last)
        mutex_unlock(hcd.lock)
        ehci_free_qtds(first)
    dma_unmap_single(hcd.dev, buffer, count, direction)
    return err


def ehci_write(filp, buf, count, f_pos):
    if not 0 < count <= MAX_BYTES:
        return -EINVAL
    data = kmalloc(count, GFP_KERNEL)
    if not data:
        return -ENOMEM
    err = -EFAULT
    if not copy_from_user(data, buf, count):
        err = ehci_transfer(data, count, DMA_TO_DEVICE)
    kfree(data)
    return err or count


def ehci_read(filp, buf, count, f_pos):
    if not 0 < count <= MAX_BYTES:
        return -EINVAL
    data = kmalloc(count, GFP_KERNEL)
    if not data:
        return -ENOMEM
    memset(data, 0, count)
    err = ehci_transfer(data, count, DMA_FROM_DEVICE)
    if not err and copy_to_user(buf, data, count):
        err = -EFAULT
    kfree(data)
    return err or count


def ehci_ioctl(filp, cmd, arg):
    """How many frames the controller has counted."""
    return hcd.itd.hw_frames


ehci = miscdevice(
    name="ehci",
    fops=file_operations(owner=THIS_MODULE, read=ehci_read, write=ehci_write, unlocked_ioctl=ehci_ioctl),
)


# -- coming and going ---------------------------------------------------------------------------------


def ehci_pool(undo, name, struct):
    pool = dma_pool_create(name, hcd.dev, sizeof(struct), ALIGN, BOUNDARY)
    undo.callback(dma_pool_destroy, pool)
    return pool


def ehci_memory(undo):
    """The pools, and what the hardware needs to begin with: a ring of one queue, and a periodic element."""
    hcd.qh_pool = ehci_pool(undo, "ehci_qh", ehci_qh)
    hcd.qtd_pool = ehci_pool(undo, "ehci_qtd", ehci_qtd)
    hcd.itd_pool = ehci_pool(undo, "ehci_itd", ehci_itd)
    if not hcd.qh_pool or not hcd.qtd_pool or not hcd.itd_pool:
        return -ENOMEM
    hcd.head = ehci_alloc(ehci_qh, hcd.qh_pool)
    if not hcd.head:
        return -ENOMEM
    undo.callback(ehci_free, hcd.qh_pool, hcd.head)
    hcd.itd = ehci_alloc(ehci_itd, hcd.itd_pool)
    if not hcd.itd:
        return -ENOMEM
    undo.callback(ehci_free, hcd.itd_pool, hcd.itd)
    hcd.head.hw_next = hcd.head.dma
    hcd.head.hw_qtd = LINK_END
    hcd.itd.hw_next = LINK_END
    return 0


def ehci_map(undo, pdev):
    window = platform_get_resource(pdev, IORESOURCE_MEM, 0)
    if not request_mem_region(window.start, window.end - window.start + 1, "ehci"):
        return -ENOMEM
    undo.callback(release_mem_region, window.start, window.end - window.start + 1)
    hcd.regs = ioremap(window.start, window.end - window.start + 1)
    if not hcd.regs:
        return -ENOMEM
    undo.callback(iounmap, hcd.regs)
    return 0


def ehci_start():
    writel(hcd.head.dma, hcd.regs + ASYNC)
    writel(hcd.itd.dma, hcd.regs + PERIODIC)
    writel(CMD_RUN, hcd.regs + CMD)


def ehci_stop():
    writel(0, hcd.regs + CMD)


def ehci_probe(pdev):
    global hcd
    hcd = ehci_hcd(pdev.dev)
    mutex_init(hcd.lock)
    init_completion(hcd.done)
    init_completion(hcd.forgotten)
    with ExitStack() as undo:
        irq = platform_get_irq(pdev, 0)
        err = irq if irq < 0 else dma_set_mask_and_coherent(pdev.dev, DMA_BIT_MASK(32))
        err = err or ehci_map(undo, pdev) or ehci_memory(undo) or request_irq(irq, ehci_interrupt, 0, "ehci", hcd)
        if err:
            return err
        undo.callback(free_irq, irq, hcd)
        ehci_start()
        undo.callback(ehci_stop)
        err = misc_register(ehci)
        if err:
            return err
        undo.callback(misc_deregister, ehci)
        hcd.undo = undo.pop_all()
    return 0


def ehci_remove(pdev):
    hcd.undo.close()
    return 0


ehci_driver = platform_driver(probe=ehci_probe, remove=ehci_remove, driver={"name": "ehci"})

module_platform_driver(ehci_driver)
