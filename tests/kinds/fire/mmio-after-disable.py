from kmock.linux.io import ioremap, iounmap, writel


def program(k):
    window = k.mmio(0xF000_0000, 0x1000)
    regs = ioremap(0xF000_0000, 0x1000)
    window.power(False)
    writel(1, regs)  # here
    iounmap(regs)
