from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock_irqsave, spin_unlock_irqrestore


def good(k):
    lock = DEFINE_SPINLOCK("lock")
    flags = spin_lock_irqsave(lock)
    spin_unlock_irqrestore(lock, flags)
