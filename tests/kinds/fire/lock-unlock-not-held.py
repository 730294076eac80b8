from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_unlock


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    spin_unlock(lock)  # here
