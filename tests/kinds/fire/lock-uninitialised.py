from kmock.linux.spinlock import spin_lock, spin_unlock, spinlock_t


def program(k):
    lock = spinlock_t()
    spin_lock(lock)  # here
    spin_unlock(lock)
