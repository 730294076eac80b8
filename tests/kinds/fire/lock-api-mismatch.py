from kmock.linux.irqflags import local_irq_restore
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock_irqsave, spin_unlock


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    flags = spin_lock_irqsave(lock)
    spin_unlock(lock)  # here
    local_irq_restore(flags)
