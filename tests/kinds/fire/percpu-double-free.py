from kmock.linux.percpu import alloc_percpu, free_percpu
from kmock.linux.types import u64


def program(k):
    hits = alloc_percpu(u64)
    free_percpu(hits)
    free_percpu(hits)  # here
