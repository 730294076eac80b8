from kmock.linux.percpu import DEFINE_PER_CPU, get_cpu_var, put_cpu_var
from kmock.linux.types import u64

hits = DEFINE_PER_CPU(u64, "hits")


def program(k):
    get_cpu_var(hits).value += 1
    put_cpu_var(hits)
