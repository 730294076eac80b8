from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_lock_irqsave, spin_unlock, spin_unlock_irqrestore


def good(k):
    safe, inner = DEFINE_SPINLOCK("safe"), DEFINE_SPINLOCK("inner")
    with k.hardirq():
        spin_lock(safe)
        spin_unlock(safe)
    flags = spin_lock_irqsave(inner)
    spin_unlock_irqrestore(inner, flags)
    flags = spin_lock_irqsave(safe)
    spin_lock(inner)
    spin_unlock(inner)
    spin_unlock_irqrestore(safe, flags)
