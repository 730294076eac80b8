from kmock.linux.io import ioread32, ioremap, iounmap


def program(k):
    k.mmio(0xF000_0000, 0x1000)
    regs = ioremap(0xF000_0000, 0x1000)
    ioread32(regs)
    iounmap(regs)
