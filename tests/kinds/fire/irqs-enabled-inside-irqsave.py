from kmock.linux.irqflags import local_irq_enable
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock_irqsave, spin_unlock_irqrestore


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    flags = spin_lock_irqsave(lock)
    local_irq_enable()  # here
    spin_unlock_irqrestore(lock, flags)
