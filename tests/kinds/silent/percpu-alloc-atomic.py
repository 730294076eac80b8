from kmock.linux.gfp import GFP_ATOMIC
from kmock.linux.percpu import alloc_percpu_gfp, free_percpu
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.types import u64

lock = DEFINE_SPINLOCK("lock")


def program(k):
    spin_lock(lock)
    hits = alloc_percpu_gfp(u64, GFP_ATOMIC)
    free_percpu(hits)
    spin_unlock(lock)
