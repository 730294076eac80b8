from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock_irqsave, spin_unlock_irqrestore


def good(k):
    a = DEFINE_SPINLOCK("a")
    b = DEFINE_SPINLOCK("b")
    outer = spin_lock_irqsave(a)
    inner = spin_lock_irqsave(b)
    spin_unlock_irqrestore(b, inner)
    spin_unlock_irqrestore(a, outer)
