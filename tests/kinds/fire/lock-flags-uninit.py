from kmock.linux.irqflags import local_irq_restore
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock_irqsave, spin_unlock_irqrestore


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    flags = 0
    saved = spin_lock_irqsave(lock)
    spin_unlock_irqrestore(lock, flags)  # here
    local_irq_restore(saved)
