from kmock.linux.preempt import preempt_enable
from kmock.linux.spinlock import spin_lock, spin_lock_init, spinlock_t


def program(k):
    lock = spinlock_t()
    spin_lock_init(lock)
    spin_lock(lock)
    spin_lock_init(lock)  # here
    preempt_enable()
