from kmock.linux.percpu import alloc_percpu
from kmock.linux.types import u64


def program(k):
    hits = alloc_percpu(u64)
    hits.u64[0] = 1  # here
