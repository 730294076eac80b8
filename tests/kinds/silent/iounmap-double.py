from kmock.linux.io import ioremap, iounmap


def program(k):
    regs = ioremap(0xF000_0000, 0x1000)
    iounmap(regs)
    iounmap(None)
