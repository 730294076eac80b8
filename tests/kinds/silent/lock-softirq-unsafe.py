from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_lock_bh, spin_unlock, spin_unlock_bh


def good(k):
    lock = DEFINE_SPINLOCK("lock")
    with k.softirq():
        spin_lock(lock)
        spin_unlock(lock)
    spin_lock_bh(lock)
    spin_unlock_bh(lock)
