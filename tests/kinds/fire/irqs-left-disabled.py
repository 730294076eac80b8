from kmock.linux.irqflags import local_irq_disable


def program(k):
    local_irq_disable()  # here
