from kmock.linux.io import ioremap, iounmap, readl
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    regs = ioremap(0xF000_0000, 0x1000)
    spin_lock(lock)
    readl(regs)
    spin_unlock(lock)
    iounmap(regs)
