from kmock.linux.delay import msleep
from kmock.linux.percpu import DEFINE_PER_CPU, get_cpu_var, put_cpu_var
from kmock.linux.types import u64

hits = DEFINE_PER_CPU(u64, "hits")


def program(k):
    msleep(1)
    get_cpu_var(hits).value += 1
    put_cpu_var(hits)
    msleep(1)
