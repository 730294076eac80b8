from kmock.linux.io import ioremap, iounmap


def program(k):
    regs = ioremap(0xF000_0000, 0x2000)
    iounmap(regs + 0x1010)  # here
