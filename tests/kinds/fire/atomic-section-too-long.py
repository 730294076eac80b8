from kmock.linux.delay import mdelay
from kmock.linux.irqflags import local_irq_restore, local_irq_save


def program(k):
    flags = local_irq_save()
    mdelay(5)  # here
    local_irq_restore(flags)
