from kmock.linux.io import ioremap, iounmap


def program(k):
    regs = ioremap(0xF000_0000, 1)
    iounmap(regs)
