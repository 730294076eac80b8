from kmock.linux.delay import msleep
from kmock.linux.percpu import DEFINE_PER_CPU, get_cpu_var, put_cpu_var
from kmock.linux.types import u64

hits = DEFINE_PER_CPU(u64, "hits")


def program(k):
    mine = get_cpu_var(hits)
    msleep(1)  # here
    mine.value += 1
    put_cpu_var(hits)
