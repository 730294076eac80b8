from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    p = vmalloc(10000)
    spin_lock(lock)
    spin_unlock(lock)
    vfree(p)
