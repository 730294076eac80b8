from kmock.linux.irqflags import local_irq_disable, local_irq_enable


def good(k):
    local_irq_disable()
    local_irq_enable()
