from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_lock_irqsave, spin_unlock, spin_unlock_irqrestore


def good(k):
    lock = DEFINE_SPINLOCK("lock")
    with k.hardirq():
        spin_lock(lock)
        spin_unlock(lock)
    flags = spin_lock_irqsave(lock)
    spin_unlock_irqrestore(lock, flags)
