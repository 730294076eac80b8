from kmock.linux.slab import GFP_ATOMIC, GFP_KERNEL, kfree, kmalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def good(k):
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    kfree(kmalloc(64, GFP_ATOMIC))
    spin_unlock(lock)
    kfree(kmalloc(64, GFP_KERNEL))
