from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_lock_irqsave, spin_unlock, spin_unlock_irqrestore


def good(k):
    a = DEFINE_SPINLOCK("a")
    b = DEFINE_SPINLOCK("b")
    flags = spin_lock_irqsave(a)
    spin_lock(b)
    spin_unlock(a)
    spin_unlock_irqrestore(b, flags)
