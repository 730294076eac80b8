from kmock.linux.irqflags import local_irq_restore, local_irq_save


def program(k):
    flags = local_irq_save()
    with k.on_cpu(1):
        local_irq_restore(flags)  # here
    local_irq_restore(flags)
