from kmock.linux.irqflags import local_irq_restore, local_irq_save
from kmock.linux.slab import GFP_ATOMIC, kfree, kmalloc


def good(k):
    flags = local_irq_save()
    kfree(kmalloc(64, GFP_ATOMIC))
    local_irq_restore(flags)
