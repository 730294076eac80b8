from kmock.linux.io import ioremap, iounmap, writel


def program(k):
    k.mmio(0xF000_0000, 0x1000)
    regs = ioremap(0xF000_0000, 0x1000)
    writel(1, regs + 4)
    iounmap(regs)
