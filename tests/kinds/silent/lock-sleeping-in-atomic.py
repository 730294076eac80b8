from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def good(k):
    lock = DEFINE_SPINLOCK("lock")
    sleeper = DEFINE_MUTEX("sleeper")
    mutex_lock(sleeper)
    spin_lock(lock)
    spin_unlock(lock)
    mutex_unlock(sleeper)
