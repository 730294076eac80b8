from kmock.linux.delay import mdelay, udelay
from kmock.linux.irqflags import local_irq_restore, local_irq_save


def good(k):
    for _ in range(10):
        flags = local_irq_save()
        udelay(500)
        local_irq_restore(flags)
    mdelay(5)
