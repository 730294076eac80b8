from kmock.linux.io import ioremap, iounmap


def program(k):
    k.mmio(0xF000_0000, 0x1000)
    regs = ioremap(0xF000_0000, 0x1000)
    regs.u32[1] = 1  # here
    iounmap(regs)
