from kmock.linux.io import ioremap, iounmap, memcpy_fromio, readl
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

PENDING = 0x10
DATA = 0x100


def program(k):
    k.mmio(0xF000_0000, 4096).write(PENDING, 4, 96)
    regs = ioremap(0xF000_0000, 4096)
    packet = kmalloc(64, GFP_KERNEL)
    n = readl(regs + PENDING)
    memcpy_fromio(packet, regs + DATA, 64)
    packet[n] = 0  # here
    kfree(packet)
    iounmap(regs)
