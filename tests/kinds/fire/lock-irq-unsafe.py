from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    with k.hardirq():
        spin_lock(lock)
        spin_unlock(lock)
    spin_lock(lock)  # here
    spin_unlock(lock)
