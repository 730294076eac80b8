"""pstats: packets and bytes, counted by each processor for itself.

The C idiom: ``alloc_percpu(struct pstats)``, ``this_cpu_inc(stats->packets)`` where the packets come by, and a sum
over ``for_each_possible_cpu`` where somebody asks. No lock is taken, and no cache line goes back and forth. Packets come
from a process, which writes them, and from an interrupt, which is one of 64 bytes: ``this_cpu_*`` are single instructions,
so neither loses what the other counted.
"""

from kmock.linux.errno import EFAULT, EINVAL, ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.percpu import alloc_percpu, for_each_possible_cpu, free_percpu, per_cpu_ptr, this_cpu_add, this_cpu_inc
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.types import NULL, Struct, u64
from kmock.linux.uaccess import copy_from_user, copy_to_user

IRQ = 10
SMALLEST = 64
LARGEST = 1500

MODULE_LICENSE("GPL")


class Stats(Struct):
    packets: u64
    bytes: u64


stats = NULL


def account(n):
    this_cpu_inc(stats.packets)
    this_cpu_add(stats.bytes, n)


def pstats_irq(irq, dev_id):
    account(SMALLEST)
    return IRQ_HANDLED


def pstats_write(filp, buf, count, pos):
    if not 0 < count <= LARGEST:
        return -EINVAL
    packet = kmalloc(count, GFP_KERNEL)
    if not packet:
        return -ENOMEM
    left = copy_from_user(packet, buf, count)
    if not left:
        account(count)
    kfree(packet)
    return -EFAULT if left else count


def pstats_read(filp, buf, count, pos):
    copies = [per_cpu_ptr(stats, cpu) for cpu in for_each_possible_cpu()]
    total = kmalloc(16, GFP_KERNEL)
    if not total:
        return -ENOMEM
    total.u64[0] = sum(copy.packets for copy in copies)
    total.u64[1] = sum(copy.bytes for copy in copies)
    n = min(count, 16)
    left = copy_to_user(buf, total, n)
    kfree(total)
    return -EFAULT if left else n


pstats = miscdevice(name="pstats0", fops=file_operations(owner=THIS_MODULE, read=pstats_read, write=pstats_write))


def pstats_init():
    global stats
    stats = alloc_percpu(Stats)
    if not stats:
        return -ENOMEM
    err = request_irq(IRQ, pstats_irq, 0, "pstats", pstats)
    if err:
        free_percpu(stats)
        return err
    err = misc_register(pstats)
    if err:
        free_irq(IRQ, pstats)
        free_percpu(stats)
    return err


def pstats_exit():
    misc_deregister(pstats)
    free_irq(IRQ, pstats)
    free_percpu(stats)


module_init(pstats_init)
module_exit(pstats_exit)
