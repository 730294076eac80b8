from kmock.linux.irqflags import local_irq_restore
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock_irqsave, spin_unlock_irqrestore


def program(k):
    a = DEFINE_SPINLOCK("a")
    b = DEFINE_SPINLOCK("b")
    outer = flags = spin_lock_irqsave(a)
    flags = spin_lock_irqsave(b)
    spin_unlock_irqrestore(b, flags)
    spin_unlock_irqrestore(a, flags)  # here
    local_irq_restore(outer)
