from kmock.linux.irqflags import local_irq_restore, local_irq_save
from kmock.linux.percpu import DEFINE_PER_CPU, __this_cpu_inc, this_cpu_inc
from kmock.linux.types import u64

hits = DEFINE_PER_CPU(u64, "hits")


def program(k):
    this_cpu_inc(hits)
    flags = local_irq_save()
    __this_cpu_inc(hits)
    local_irq_restore(flags)
    with k.hardirq():
        __this_cpu_inc(hits)
