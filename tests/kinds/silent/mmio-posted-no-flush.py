from kmock.linux.delay import udelay
from kmock.linux.io import ioremap, iounmap, readl, writel
from kmock.linux.ioport import release_mem_region, request_mem_region


def good(k):
    k.mmio(0xF000_0000, 4096)
    request_mem_region(0xF000_0000, 4096, "device")
    regs = ioremap(0xF000_0000, 4096)
    writel(1, regs)
    readl(regs)
    udelay(10)
    iounmap(regs)
    release_mem_region(0xF000_0000, 4096)
