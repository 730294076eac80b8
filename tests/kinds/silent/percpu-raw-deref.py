from kmock.linux.percpu import alloc_percpu, free_percpu, get_cpu_ptr, put_cpu_ptr
from kmock.linux.types import u64


def program(k):
    hits = alloc_percpu(u64)
    get_cpu_ptr(hits).value = 1
    put_cpu_ptr(hits)
    free_percpu(hits)
