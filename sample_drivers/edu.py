"""edu: a driver for QEMU's teaching device, on PCI.

The C idiom: ``probe`` turns the device on, claims and maps its window, looks whether it is the device it claims to be,
says what it can address, and takes an interrupt by message, or by line where there are none; each step has its own
way back (C's chain of ``goto err_...`` is :class:`~contextlib.ExitStack` here). ``remove`` goes the same way backwards: no
more users, no more interrupts, no more transfers, and only then the memory.

Reading and writing ``/dev/edu`` goes to the device's own memory by streaming DMA through a bounce buffer; the caller
sleeps until the interrupt says that the transfer is over. ``ioctl(FACTORIAL, n)`` has the device compute.
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
from kmock.linux.errno import EFAULT, EINVAL, EIO, ENODEV, ENOMEM, ENOTTY, ETIMEDOUT
from kmock.linux.fs import file_operations
from kmock.linux.interrupt import IRQ_HANDLED, IRQ_NONE, IRQF_SHARED, free_irq, request_irq
from kmock.linux.io import readl, writel, writeq
from kmock.linux.jiffies import HZ
from kmock.linux.kernel import container_of, min
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE
from kmock.linux.mutex import mutex, mutex_init, mutex_lock, mutex_unlock
from kmock.linux.pci import (
    PCI_DEVICE,
    PCI_IRQ_ALL_TYPES,
    module_pci_driver,
    pci_alloc_irq_vectors,
    pci_clear_master,
    pci_disable_device,
    pci_driver,
    pci_enable_device,
    pci_free_irq_vectors,
    pci_get_drvdata,
    pci_iomap,
    pci_iounmap,
    pci_irq_vector,
    pci_release_regions,
    pci_request_regions,
    pci_set_drvdata,
    pci_set_master,
)
from kmock.linux.slab import GFP_DMA, GFP_KERNEL, kfree, kmalloc
from kmock.linux.uaccess import copy_from_user, copy_to_user
from sample_drivers.edu_hw import (
    BUFFER,
    BUFFER_SIZE,
    DEVICE,
    DMA_COMMAND,
    DMA_COUNT,
    DMA_DESTINATION,
    DMA_IRQ,
    DMA_MASK_BITS,
    DMA_SOURCE,
    DMA_START,
    DMA_TO_RAM,
    FACTORIAL,
    ID,
    ID_VALUE,
    IRQ_ACK,
    IRQ_STATUS,
    LIVENESS,
    STATUS,
    STATUS_IRQ_FACTORIAL,
    VENDOR,
)

COMPUTE = 1
PATIENCE = HZ

MODULE_LICENSE("GPL")


class edu_dev:
    """``struct edu_dev``: what the driver knows of one device."""

    def __init__(self, pdev):
        self.pdev = pdev
        self.regs = None
        self.irq = 0
        self.lock = mutex()
        self.done = completion()
        self.misc = miscdevice(name="edu", fops=edu_fops)


def edu_interrupt(irq, edu):
    status = readl(edu.regs + IRQ_STATUS)
    if not status:
        return IRQ_NONE
    writel(status, edu.regs + IRQ_ACK)
    complete(edu.done)
    return IRQ_HANDLED


def edu_wait(edu):
    return 0 if wait_for_completion_timeout(edu.done, PATIENCE) else -ETIMEDOUT


# -- DMA ----------------------------------------------------------------------------------------------


def edu_transfer(edu, source, destination, n, command):
    reinit_completion(edu.done)
    writeq(source, edu.regs + DMA_SOURCE)
    writeq(destination, edu.regs + DMA_DESTINATION)
    writeq(n, edu.regs + DMA_COUNT)
    writeq(DMA_START | DMA_IRQ | command, edu.regs + DMA_COMMAND)
    return edu_wait(edu)


def edu_to_device(edu, buf, n):
    dev = edu.pdev.dev
    dma = dma_map_single(dev, buf, n, DMA_TO_DEVICE)
    if dma_mapping_error(dev, dma):
        return -EIO
    err = edu_transfer(edu, dma, BUFFER, n, 0)
    dma_unmap_single(dev, dma, n, DMA_TO_DEVICE)
    return err


def edu_from_device(edu, buf, n):
    dev = edu.pdev.dev
    dma = dma_map_single(dev, buf, n, DMA_FROM_DEVICE)
    if dma_mapping_error(dev, dma):
        return -EIO
    err = edu_transfer(edu, BUFFER, dma, n, DMA_TO_RAM)
    dma_unmap_single(dev, dma, n, DMA_FROM_DEVICE)
    return err


# -- files --------------------------------------------------------------------------------------------


def edu_of(filp):
    return container_of(filp.private_data, edu_dev, "misc")


def edu_read(filp, buf, count, f_pos):
    edu = edu_of(filp)
    n = min(count, BUFFER_SIZE)
    bounce = kmalloc(n, GFP_KERNEL | GFP_DMA)
    if not bounce:
        return -ENOMEM
    mutex_lock(edu.lock)
    err = edu_from_device(edu, bounce, n)
    mutex_unlock(edu.lock)
    if not err and copy_to_user(buf, bounce, n):
        err = -EFAULT
    kfree(bounce)
    return err or n


def edu_write(filp, buf, count, f_pos):
    edu = edu_of(filp)
    n = min(count, BUFFER_SIZE)
    bounce = kmalloc(n, GFP_KERNEL | GFP_DMA)
    if not bounce:
        return -ENOMEM
    if copy_from_user(bounce, buf, n):
        kfree(bounce)
        return -EFAULT
    mutex_lock(edu.lock)
    err = edu_to_device(edu, bounce, n)
    mutex_unlock(edu.lock)
    kfree(bounce)
    return err or n


def edu_ioctl(filp, cmd, arg):
    edu = edu_of(filp)
    if cmd != COMPUTE:
        return -ENOTTY
    if not 0 <= arg <= 12:  # 13! does not fit into the register
        return -EINVAL
    mutex_lock(edu.lock)
    reinit_completion(edu.done)
    writel(STATUS_IRQ_FACTORIAL, edu.regs + STATUS)
    writel(arg, edu.regs + FACTORIAL)
    err = edu_wait(edu)
    result = readl(edu.regs + FACTORIAL)
    mutex_unlock(edu.lock)
    return err or result


edu_fops = file_operations(owner=THIS_MODULE, read=edu_read, write=edu_write, unlocked_ioctl=edu_ioctl)


# -- probe, remove --------------------------------------------------------------------------------------


def edu_alive(edu):
    """Whether it is the device: its id, and a register that inverts what is written to it."""
    if readl(edu.regs + ID) != ID_VALUE:
        return False
    writel(0x1234_5678, edu.regs + LIVENESS)
    return readl(edu.regs + LIVENESS) == 0xEDCB_A987


def edu_setup(edu, undo):
    pdev = edu.pdev
    err = pci_enable_device(pdev)
    if err:
        return err
    undo.callback(pci_disable_device, pdev)
    err = pci_request_regions(pdev, "edu")
    if err:
        return err
    undo.callback(pci_release_regions, pdev)
    edu.regs = pci_iomap(pdev, 0, 0)
    if not edu.regs:
        return -ENOMEM
    undo.callback(pci_iounmap, pdev, edu.regs)
    if not edu_alive(edu):
        return -ENODEV
    err = dma_set_mask_and_coherent(pdev.dev, DMA_BIT_MASK(DMA_MASK_BITS))
    if err:
        return err
    pci_set_master(pdev)
    undo.callback(pci_clear_master, pdev)
    err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES)
    if err < 0:
        return err
    undo.callback(pci_free_irq_vectors, pdev)
    edu.irq = pci_irq_vector(pdev, 0)
    err = request_irq(edu.irq, edu_interrupt, IRQF_SHARED, "edu", edu)
    if err:
        return err
    undo.callback(free_irq, edu.irq, edu)
    return misc_register(edu.misc)


def edu_probe(pdev, id):
    edu = edu_dev(pdev)
    mutex_init(edu.lock)
    init_completion(edu.done)
    with ExitStack() as undo:
        err = edu_setup(edu, undo)
        if not err:
            undo.pop_all()
    if not err:
        pci_set_drvdata(pdev, edu)
    return err


def edu_remove(pdev):
    edu = pci_get_drvdata(pdev)
    misc_deregister(edu.misc)
    writel(0, edu.regs + STATUS)
    pci_clear_master(pdev)
    free_irq(edu.irq, edu)
    pci_free_irq_vectors(pdev)
    pci_iounmap(pdev, edu.regs)
    pci_release_regions(pdev)
    pci_disable_device(pdev)


edu_driver = pci_driver(name="edu", id_table=[PCI_DEVICE(VENDOR, DEVICE)], probe=edu_probe, remove=edu_remove)
module_pci_driver(edu_driver)
