from kmock.linux.io import ioremap, iounmap


def program(k):
    regs = ioremap(0xF000_0010, 0x2000)
    iounmap(regs)
