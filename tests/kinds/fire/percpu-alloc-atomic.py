from kmock.linux.percpu import alloc_percpu, free_percpu
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.types import u64

lock = DEFINE_SPINLOCK("lock")


def program(k):
    spin_lock(lock)
    hits = alloc_percpu(u64)  # here
    spin_unlock(lock)
    free_percpu(hits)
