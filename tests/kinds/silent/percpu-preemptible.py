from kmock.linux.percpu import DEFINE_PER_CPU, __this_cpu_inc, this_cpu_inc, this_cpu_ptr
from kmock.linux.preempt import preempt_disable, preempt_enable
from kmock.linux.types import u64

hits = DEFINE_PER_CPU(u64, "hits")


def program(k):
    this_cpu_inc(hits)
    preempt_disable()
    __this_cpu_inc(hits)
    this_cpu_ptr(hits).value += 1
    preempt_enable()
