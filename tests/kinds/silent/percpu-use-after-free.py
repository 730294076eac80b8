from kmock.linux.percpu import alloc_percpu, free_percpu, per_cpu_ptr
from kmock.linux.types import u64


def program(k):
    hits = alloc_percpu(u64)
    mine = per_cpu_ptr(hits, 0)
    mine.value += 1
    free_percpu(hits)
