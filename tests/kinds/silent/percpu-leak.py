from kmock.linux.percpu import DEFINE_PER_CPU, alloc_percpu, free_percpu, per_cpu
from kmock.linux.types import u64

lasting = DEFINE_PER_CPU(u64, "lasting")


def program(k):
    per_cpu(lasting, 0).value = 1
    free_percpu(alloc_percpu(u64))
