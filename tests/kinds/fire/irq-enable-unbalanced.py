from kmock.linux.interrupt import enable_irq


def program(k):
    enable_irq(9)  # here
