from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    sleeper = DEFINE_MUTEX("sleeper")
    spin_lock(lock)
    mutex_lock(sleeper)  # here
    mutex_unlock(sleeper)
    spin_unlock(lock)
