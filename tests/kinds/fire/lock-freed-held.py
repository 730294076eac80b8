from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import spin_lock, spin_lock_init, spinlock_t
from kmock.linux.types import Struct, sizeof


class Dev(Struct):
    lock: spinlock_t


def program(k):
    p = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))
    spin_lock_init(p.lock)
    spin_lock(p.lock)
    kfree(p)  # here
