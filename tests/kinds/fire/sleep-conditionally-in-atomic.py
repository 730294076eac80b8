from kmock.linux.slab import GFP_KERNEL, kvfree, kvmalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    p = kvmalloc(100, GFP_KERNEL)
    spin_lock(lock)
    kvfree(p)  # here
    spin_unlock(lock)
