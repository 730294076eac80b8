from kmock.linux.percpu import alloc_percpu
from kmock.linux.types import u64


def program(k):
    alloc_percpu(u64)  # here
