from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    with k.softirq():
        spin_lock(lock)  # here
