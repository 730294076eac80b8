from kmock.linux.delay import udelay
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def good(k):
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    udelay(5)
    spin_unlock(lock)
