"""ringnic: a network driver with descriptor rings.

The C idiom: two rings of descriptors in coherent memory, and a buffer behind each descriptor that is mapped for one transfer.
A descriptor has an owner: whoever hands it over writes everything else first, then ``dma_wmb()``, then the flag; whoever
takes it over reads the flag, then ``dma_rmb()``, then the rest. What is received and short is copied out of its buffer,
between ``dma_sync_single_for_cpu()`` and ``dma_sync_single_for_device()``, and the buffer goes back to the card (copybreak);
what is long goes up in its buffer, which a fresh one takes the place of. The interrupt handler only turns the card's
interrupts off and lets a softirq poll; while there is much to do that goes on without interrupts, a budget at a time (NAPI).

There is no network here: what C hands to ``netif_receive_skb()`` goes to ``nic.receive``, which the test sets, and
:func:`ringnic_xmit` is ``ndo_start_xmit``.
"""

from contextlib import ExitStack

from kmock.linux.barrier import dma_rmb, dma_wmb
from kmock.linux.delay import udelay
from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    DMA_TO_DEVICE,
    dma_alloc_coherent,
    dma_free_coherent,
    dma_map_single,
    dma_mapping_error,
    dma_set_mask_and_coherent,
    dma_sync_single_for_cpu,
    dma_sync_single_for_device,
    dma_unmap_single,
)
from kmock.linux.errno import EINVAL, ENOMEM
from kmock.linux.interrupt import (
    IRQ_HANDLED,
    IRQ_NONE,
    IRQF_SHARED,
    free_irq,
    request_irq,
    tasklet_kill,
    tasklet_schedule,
    tasklet_setup,
    tasklet_struct,
)
from kmock.linux.io import readl, writel, writeq
from kmock.linux.module import MODULE_LICENSE, S_IRUGO, module_param
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
from kmock.linux.slab import GFP_ATOMIC, GFP_KERNEL, kfree, kmalloc
from kmock.linux.spinlock import spin_lock, spin_lock_bh, spin_lock_init, spin_unlock, spin_unlock_bh, spinlock_t
from kmock.linux.string import memcpy
from kmock.linux.types import Struct, le32, le64, sizeof
from sample_drivers.ringnic_hw import (
    CTRL,
    CTRL_ENABLE,
    DESC_ERROR,
    DESC_OWN,
    DEVICE,
    ICR,
    IMS,
    INT_RX,
    INT_TX,
    ITR,
    RX_BASE,
    RX_COUNT,
    RX_KICK,
    STATUS,
    STATUS_BUSY,
    TX_BASE,
    TX_COUNT,
    TX_KICK,
    VENDOR,
)

NETDEV_TX_OK = 0x00
NETDEV_TX_BUSY = 0x10

ring_size = 128
"""Descriptors in a ring, set when the module is loaded."""
RX_SIZE = 1536
"""Bytes of a receive buffer: the longest frame, and some."""
COPYBREAK = 256
"""The longest frame that is copied."""
BUDGET = 64
"""Frames that one poll takes."""
COALESCE_NSECS = 20_000

MODULE_LICENSE("GPL")
module_param("ring_size", int, S_IRUGO)


class ringnic_desc(Struct):
    addr: le64
    len: le32
    flags: le32


class sk_buff:
    """A frame: ``len`` bytes at ``data``, which comes from kmalloc()."""

    __slots__ = ("data", "len")

    def __init__(self, data, len):
        self.data = data
        self.len = len


class ringnic_ring:
    """``struct ringnic_ring``: descriptors, and the buffer and its handle behind each."""

    def __init__(self):
        self.vaddr = None
        self.dma = 0
        self.desc = []
        self.skb = [None] * ring_size
        self.handle = [0] * ring_size
        self.head = 0
        self.tail = 0


class ringnic_dev:
    """``struct ringnic_dev``: what the driver knows of one card."""

    def __init__(self, pdev):
        self.pdev = pdev
        self.regs = None
        self.irq = 0
        self.tx = ringnic_ring()
        self.rx = ringnic_ring()
        self.tx_lock = spinlock_t()
        self.napi = tasklet_struct()
        self.receive = ringnic_drop
        self.tx_packets = self.rx_packets = self.dropped = 0


def ringnic_drop(nic, skb):
    nic.dropped += 1
    kfree(skb.data)


# -- sending ------------------------------------------------------------------------------------------


def ringnic_xmit(nic, skb, more=False):
    """``ndo_start_xmit``: the frame is the driver's from here on, unless it has no room for it."""
    tx, dev = nic.tx, nic.pdev.dev
    dma = dma_map_single(dev, skb.data, skb.len, DMA_TO_DEVICE)
    if dma_mapping_error(dev, dma):
        ringnic_drop(nic, skb)
        return NETDEV_TX_OK
    spin_lock_bh(nic.tx_lock)
    if tx.head - tx.tail == ring_size:
        spin_unlock_bh(nic.tx_lock)
        dma_unmap_single(dev, dma, skb.len, DMA_TO_DEVICE)
        return NETDEV_TX_BUSY
    slot = tx.head % ring_size
    tx.skb[slot], tx.handle[slot] = skb, dma
    desc = tx.desc[slot]
    desc.addr = dma
    desc.len = skb.len
    dma_wmb()  # the card must not own it before the rest is there
    desc.flags = DESC_OWN
    tx.head += 1
    if not more or tx.head - tx.tail == ring_size:
        ringnic_kick(nic)
    spin_unlock_bh(nic.tx_lock)
    return NETDEV_TX_OK


def ringnic_kick(nic):
    """Tell the card of what was sent with ``more``, after the last."""
    writel(1, nic.regs + TX_KICK)


def ringnic_clean_tx(nic):
    """Take back what the card has sent."""
    tx, dev = nic.tx, nic.pdev.dev
    spin_lock(nic.tx_lock)
    while tx.tail != tx.head:
        slot = tx.tail % ring_size
        if tx.desc[slot].flags & DESC_OWN:
            break
        skb = tx.skb[slot]
        dma_unmap_single(dev, tx.handle[slot], skb.len, DMA_TO_DEVICE)
        kfree(skb.data)
        tx.skb[slot] = None
        tx.tail += 1
        nic.tx_packets += 1
    spin_unlock(nic.tx_lock)


# -- receiving ----------------------------------------------------------------------------------------


def ringnic_map_rx(nic, slot, gfp):
    """Put a fresh buffer behind a descriptor."""
    rx, dev = nic.rx, nic.pdev.dev
    data = kmalloc(RX_SIZE, gfp)
    if not data:
        return -ENOMEM
    dma = dma_map_single(dev, data, RX_SIZE, DMA_FROM_DEVICE)
    if dma_mapping_error(dev, dma):
        kfree(data)
        return -ENOMEM
    rx.skb[slot], rx.handle[slot] = data, dma
    rx.desc[slot].addr = dma
    return 0


def ringnic_give_rx(rx, slot):
    """Hand a descriptor over to the card."""
    desc = rx.desc[slot]
    desc.len = RX_SIZE
    dma_wmb()
    desc.flags = DESC_OWN


def ringnic_copy_rx(nic, slot, length):
    """Copy a short frame out of its buffer, which stays."""
    rx, dev = nic.rx, nic.pdev.dev
    data = kmalloc(length, GFP_ATOMIC)
    if not data:
        return None
    dma_sync_single_for_cpu(dev, rx.handle[slot], length, DMA_FROM_DEVICE)
    memcpy(data, rx.skb[slot], length)
    dma_sync_single_for_device(dev, rx.handle[slot], length, DMA_FROM_DEVICE)
    return sk_buff(data, length)


def ringnic_swap_rx(nic, slot, length):
    """Take a long frame in its buffer, for which there is a fresh one."""
    rx, dev = nic.rx, nic.pdev.dev
    data, dma = rx.skb[slot], rx.handle[slot]
    if ringnic_map_rx(nic, slot, GFP_ATOMIC):
        return None
    dma_unmap_single(dev, dma, RX_SIZE, DMA_FROM_DEVICE)
    return sk_buff(data, length)


def ringnic_clean_rx(nic, budget):
    """Hand up what has come, at most ``budget`` frames; how many there were."""
    rx, done = nic.rx, 0
    while done < budget:
        slot = rx.tail % ring_size
        desc = rx.desc[slot]
        flags = desc.flags
        if flags & DESC_OWN:
            break
        dma_rmb()  # nothing else in it counts before the card has given it back
        length = desc.len
        skb = None
        if not flags & DESC_ERROR and length <= RX_SIZE:
            skb = ringnic_copy_rx(nic, slot, length) if length <= COPYBREAK else ringnic_swap_rx(nic, slot, length)
        ringnic_give_rx(rx, slot)
        rx.tail += 1
        done += 1
        if skb:
            nic.rx_packets += 1
            nic.receive(nic, skb)
        else:
            nic.dropped += 1
    if done:
        writel(1, nic.regs + RX_KICK)
    return done


# -- interrupts ---------------------------------------------------------------------------------------


def ringnic_interrupt(irq, nic):
    cause = readl(nic.regs + ICR)
    if not cause:
        return IRQ_NONE
    writel(0, nic.regs + IMS)
    writel(cause, nic.regs + ICR)
    tasklet_schedule(nic.napi)
    return IRQ_HANDLED


def ringnic_poll(nic):
    ringnic_clean_tx(nic)
    if ringnic_clean_rx(nic, BUDGET) == BUDGET:
        tasklet_schedule(nic.napi)  # there may be more: others first
    else:
        writel(INT_TX | INT_RX, nic.regs + IMS)


# -- rings --------------------------------------------------------------------------------------------


def ringnic_alloc_ring(nic, ring):
    ring.vaddr, ring.dma = dma_alloc_coherent(nic.pdev.dev, ring_size * sizeof(ringnic_desc), GFP_KERNEL)
    if not ring.vaddr:
        return -ENOMEM
    ring.desc = [ringnic_desc.at(ring.vaddr + n * sizeof(ringnic_desc)) for n in range(ring_size)]
    return 0


def ringnic_free_ring(nic, ring, size, direction):
    """Give back a ring and all that is still in it; the card must be off."""
    dev = nic.pdev.dev
    for slot, skb in enumerate(ring.skb):
        if skb is None:
            continue
        data, n = (skb.data, skb.len) if size is None else (skb, size)
        dma_unmap_single(dev, ring.handle[slot], n, direction)
        kfree(data)
    dma_free_coherent(dev, ring_size * sizeof(ringnic_desc), ring.vaddr, ring.dma)


def ringnic_free_tx(nic):
    ringnic_free_ring(nic, nic.tx, None, DMA_TO_DEVICE)


def ringnic_free_rx(nic):
    ringnic_free_ring(nic, nic.rx, RX_SIZE, DMA_FROM_DEVICE)


def ringnic_setup_rings(nic, undo):
    err = ringnic_alloc_ring(nic, nic.tx)
    if err:
        return err
    undo.callback(ringnic_free_tx, nic)
    err = ringnic_alloc_ring(nic, nic.rx)
    if err:
        return err
    undo.callback(ringnic_free_rx, nic)
    for slot in range(ring_size):
        err = ringnic_map_rx(nic, slot, GFP_KERNEL)
        if err:
            return err
        ringnic_give_rx(nic.rx, slot)
    return 0


# -- probe, remove --------------------------------------------------------------------------------------


def ringnic_start(nic):
    writeq(nic.tx.dma, nic.regs + TX_BASE)
    writel(ring_size, nic.regs + TX_COUNT)
    writeq(nic.rx.dma, nic.regs + RX_BASE)
    writel(ring_size, nic.regs + RX_COUNT)
    writel(COALESCE_NSECS, nic.regs + ITR)
    writel(CTRL_ENABLE, nic.regs + CTRL)
    writel(INT_TX | INT_RX, nic.regs + IMS)


def ringnic_stop(nic):
    """Have the card touch no memory any more."""
    writel(0, nic.regs + IMS)
    writel(0, nic.regs + CTRL)
    for _ in range(100):
        if not readl(nic.regs + STATUS) & STATUS_BUSY:
            break
        udelay(1)


def ringnic_setup(nic, undo):
    pdev = nic.pdev
    err = pci_enable_device(pdev)
    if err:
        return err
    undo.callback(pci_disable_device, pdev)
    err = pci_request_regions(pdev, "ringnic")
    if err:
        return err
    undo.callback(pci_release_regions, pdev)
    nic.regs = pci_iomap(pdev, 0, 0)
    if not nic.regs:
        return -ENOMEM
    undo.callback(pci_iounmap, pdev, nic.regs)
    err = dma_set_mask_and_coherent(pdev.dev, DMA_BIT_MASK(64))
    if err:
        return err
    err = ringnic_setup_rings(nic, undo)
    if err:
        return err
    pci_set_master(pdev)
    undo.callback(pci_clear_master, pdev)
    err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES)
    if err < 0:
        return err
    undo.callback(pci_free_irq_vectors, pdev)
    nic.irq = pci_irq_vector(pdev, 0)
    return request_irq(nic.irq, ringnic_interrupt, IRQF_SHARED, "ringnic", nic)


def ringnic_probe(pdev, id):
    if ring_size < 2:
        return -EINVAL
    nic = ringnic_dev(pdev)
    spin_lock_init(nic.tx_lock)
    tasklet_setup(nic.napi, lambda t: ringnic_poll(nic))
    with ExitStack() as undo:
        err = ringnic_setup(nic, undo)
        if not err:
            undo.pop_all()
    if not err:
        pci_set_drvdata(pdev, nic)
        ringnic_start(nic)
    return err


def ringnic_remove(pdev):
    nic = pci_get_drvdata(pdev)
    ringnic_stop(nic)
    free_irq(nic.irq, nic)
    tasklet_kill(nic.napi)
    pci_free_irq_vectors(pdev)
    pci_clear_master(pdev)
    ringnic_free_rx(nic)
    ringnic_free_tx(nic)
    pci_iounmap(pdev, nic.regs)
    pci_release_regions(pdev)
    pci_disable_device(pdev)


ringnic_driver = pci_driver(
    name="ringnic", id_table=[PCI_DEVICE(VENDOR, DEVICE)], probe=ringnic_probe, remove=ringnic_remove
)
module_pci_driver(ringnic_driver)
