from kmock.linux.delay import mdelay
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    mdelay(5)
    spin_unlock(lock)  # here
