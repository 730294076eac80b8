from kmock.linux.interrupt import disable_irq, enable_irq


def good(k):
    disable_irq(9)
    enable_irq(9)
