"""edudirect: the device ``edu`` writes its memory right into a buffer of the process that asks for it.

The C idiom: pin the pages of the buffer, for writing; make a list of them and map it for the device; have it fill one
segment after the other; unmap before anybody looks; mark the pages as dirty when they are given back. What was begun
is undone backwards, from the step that failed. Everything that belongs to the device is managed (``pcim_``): it goes with
the driver.
"""

from kmock.linux.delay import usleep_range
from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    dma_map_sgtable,
    dma_set_mask_and_coherent,
    dma_unmap_sgtable,
)
from kmock.linux.errno import EFAULT, EINVAL, ENOTTY, ETIMEDOUT
from kmock.linux.fs import file_operations
from kmock.linux.io import readq, writeq
from kmock.linux.kernel import container_of
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import (
    FOLL_WRITE,
    PAGE_SHIFT,
    PAGE_SIZE,
    offset_in_page,
    pin_user_pages_fast,
    unpin_user_pages,
    unpin_user_pages_dirty_lock,
)
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE
from kmock.linux.mutex import mutex, mutex_init, mutex_lock, mutex_unlock
from kmock.linux.pci import (
    PCI_DEVICE,
    module_pci_driver,
    pci_clear_master,
    pci_driver,
    pci_get_drvdata,
    pci_set_drvdata,
    pci_set_master,
    pcim_enable_device,
    pcim_iomap_regions,
    pcim_iomap_table,
)
from kmock.linux.scatterlist import (
    for_each_sgtable_dma_sg,
    sg_alloc_table_from_pages,
    sg_dma_address,
    sg_dma_len,
    sg_free_table,
    sg_table,
)
from kmock.linux.slab import GFP_KERNEL
from kmock.linux.types import Struct, u32, u64
from kmock.linux.uaccess import copy_from_user
from sample_drivers.edu_hw import (
    BUFFER,
    BUFFER_SIZE,
    DEVICE,
    DMA_COMMAND,
    DMA_COUNT,
    DMA_DESTINATION,
    DMA_MASK_BITS,
    DMA_SOURCE,
    DMA_START,
    DMA_TO_RAM,
    VENDOR,
)

GET = 1
POLLS = 1000

MODULE_LICENSE("GPL")


class request(Struct):
    addr: u64
    length: u32


class direct_dev:
    """``struct direct_dev``: one device."""

    def __init__(self, pdev):
        self.pdev = pdev
        self.regs = None
        self.lock = mutex()
        self.misc = miscdevice(name="edudirect", fops=direct_fops)


def direct_wait(direct):
    for _ in range(POLLS):
        if not readq(direct.regs + DMA_COMMAND) & DMA_START:
            return 0
        usleep_range(10, 20)
    return -ETIMEDOUT


def direct_fill(direct, table):
    """Have the device write its memory to the segments of ``table``."""
    source = BUFFER
    for sg, _ in for_each_sgtable_dma_sg(table):
        writeq(source, direct.regs + DMA_SOURCE)
        writeq(sg_dma_address(sg), direct.regs + DMA_DESTINATION)
        writeq(sg_dma_len(sg), direct.regs + DMA_COUNT)
        writeq(DMA_START | DMA_TO_RAM, direct.regs + DMA_COMMAND)
        err = direct_wait(direct)
        if err:
            return err
        source += sg_dma_len(sg)
    return 0


def direct_transfer(direct, pages, n, offset, length):
    dev = direct.pdev.dev
    table = sg_table()
    err = sg_alloc_table_from_pages(table, pages, n, offset, length, GFP_KERNEL)
    if err:
        return err
    err = dma_map_sgtable(dev, table, DMA_FROM_DEVICE, 0)
    if not err:
        err = direct_fill(direct, table)
        dma_unmap_sgtable(dev, table, DMA_FROM_DEVICE, 0)
    sg_free_table(table)
    return err


def direct_get(direct, addr, length):
    """Have the device write its first ``length`` bytes to the process' memory at ``addr``."""
    if not 0 < length <= BUFFER_SIZE:
        return -EINVAL
    offset = offset_in_page(addr)
    nr = (offset + length + PAGE_SIZE - 1) >> PAGE_SHIFT
    n, pages = pin_user_pages_fast(addr, nr, FOLL_WRITE)
    if n != nr:
        if n > 0:
            unpin_user_pages(pages, n)
        return n if n < 0 else -EFAULT
    mutex_lock(direct.lock)
    err = direct_transfer(direct, pages, n, offset, length)
    mutex_unlock(direct.lock)
    unpin_user_pages_dirty_lock(pages, n, True)
    return err


def direct_ioctl(filp, cmd, arg):
    direct = container_of(filp.private_data, direct_dev, "misc")
    if cmd != GET:
        return -ENOTTY
    req = request()
    if copy_from_user(req, arg, 12):
        return -EFAULT
    return direct_get(direct, req.addr, req.length)


direct_fops = file_operations(owner=THIS_MODULE, unlocked_ioctl=direct_ioctl)


def direct_probe(pdev, id):
    direct = direct_dev(pdev)
    mutex_init(direct.lock)
    err = pcim_enable_device(pdev) or pcim_iomap_regions(pdev, 1 << 0, "edudirect")
    if err:
        return err
    direct.regs = pcim_iomap_table(pdev)[0]
    err = dma_set_mask_and_coherent(pdev.dev, DMA_BIT_MASK(DMA_MASK_BITS))
    if err:
        return err
    pci_set_master(pdev)
    pci_set_drvdata(pdev, direct)
    err = misc_register(direct.misc)
    if err:
        pci_clear_master(pdev)
    return err


def direct_remove(pdev):
    misc_deregister(pci_get_drvdata(pdev).misc)
    pci_clear_master(pdev)


direct_driver = pci_driver(
    name="edudirect", id_table=[PCI_DEVICE(VENDOR, DEVICE)], probe=direct_probe, remove=direct_remove
)
module_pci_driver(direct_driver)
