from kmock.linux.io import ioremap
from kmock.linux.vmalloc import vfree


def program(k):
    regs = ioremap(0xF000_0000, 0x1000)
    vfree(regs)  # here
