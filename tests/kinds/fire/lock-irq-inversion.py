from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_lock_irqsave, spin_unlock, spin_unlock_irqrestore


def program(k):
    safe, unsafe = DEFINE_SPINLOCK("safe"), DEFINE_SPINLOCK("unsafe")
    with k.hardirq():
        spin_lock(safe)
        spin_unlock(safe)
    spin_lock(unsafe)
    spin_unlock(unsafe)
    flags = spin_lock_irqsave(safe)
    spin_lock(unsafe)  # here
    spin_unlock(unsafe)
    spin_unlock_irqrestore(safe, flags)
