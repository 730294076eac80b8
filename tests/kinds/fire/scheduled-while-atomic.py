from kmock.linux.sched import schedule
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    schedule()  # here
    spin_unlock(lock)
