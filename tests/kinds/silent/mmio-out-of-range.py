from kmock.linux.io import ioremap, iounmap, readl


def program(k):
    k.mmio(0xF000_0000, 0x1000)
    regs = ioremap(0xF000_0000, 0x20)
    readl(regs + 0x1C)
    iounmap(regs)
