from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def good(k):
    lock = DEFINE_SPINLOCK("lock")
    with k.softirq():
        spin_lock(lock)
        spin_unlock(lock)
