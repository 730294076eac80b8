from kmock.linux.irqflags import local_irq_restore, local_irq_save
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    flags = local_irq_save()
    kfree(kmalloc(64, GFP_KERNEL))  # here
    local_irq_restore(flags)
