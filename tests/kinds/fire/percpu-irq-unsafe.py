from kmock.linux.percpu import DEFINE_PER_CPU, __this_cpu_inc
from kmock.linux.preempt import preempt_disable, preempt_enable
from kmock.linux.types import u64

hits = DEFINE_PER_CPU(u64, "hits")


def program(k):
    preempt_disable()
    __this_cpu_inc(hits)  # here
    preempt_enable()
    with k.hardirq():
        __this_cpu_inc(hits)
