from kmock.linux.percpu import DEFINE_PER_CPU, __this_cpu_inc
from kmock.linux.types import u64

hits = DEFINE_PER_CPU(u64, "hits")


def program(k):
    __this_cpu_inc(hits)  # here
