from kmock.linux.spinlock import spin_lock, spin_lock_init, spin_unlock, spinlock_t


def good(k):
    lock = spinlock_t()
    spin_lock_init(lock)
    spin_lock(lock)
    spin_unlock(lock)
    spin_lock_init(lock)
