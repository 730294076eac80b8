from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    spin_lock(lock)  # here
