"""A work item is cancelled while the interrupt that queues it still comes: it is queued again behind the cancellation."""

from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.kernel import container_of
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u32
from kmock.linux.workqueue import INIT_WORK, cancel_work_sync, schedule_work, work_struct

FINDS = {"work-requeue-after-cancel", "free-active-object", "slab-use-after-free-read", "data-race"}
IRQ = 11


class Dev(Struct):
    runs: u32
    work: work_struct


def worker(work):
    dev = container_of(work, Dev, "work")
    dev.runs += 1


def handler(irq, dev):
    schedule_work(dev.work)
    return IRQ_HANDLED


def remove(dev, *, mended):
    if mended:
        free_irq(IRQ, dev)
        cancel_work_sync(dev.work)
    else:
        cancel_work_sync(dev.work)
        free_irq(IRQ, dev)
    kfree(dev)


def program(k, *, mended):
    dev = Dev.at(kzalloc(128, GFP_KERNEL))
    INIT_WORK(dev.work, worker)
    assert request_irq(IRQ, handler, 0, "seeded", dev) == 0
    k.spawn(lambda: remove(dev, mended=mended), cpu=0, name="remove")
    k.spawn(k.raise_irq, IRQ, cpu=1, name="device")
    k.join()
