from kmock.linux.irqflags import local_irq_restore, local_irq_save


def good(k):
    flags = local_irq_save()
    with k.on_cpu(1):
        inner = local_irq_save()
        local_irq_restore(inner)
    local_irq_restore(flags)
