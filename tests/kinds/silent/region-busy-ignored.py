from kmock.linux.io import ioremap, iounmap
from kmock.linux.ioport import release_mem_region, request_mem_region


def probe():
    if not request_mem_region(0xF000_0000, 0x1000, "second"):
        return None
    return ioremap(0xF000_0000, 0x1000)


def program(k):
    request_mem_region(0xF000_0000, 0x1000, "first")
    regs = probe()
    iounmap(regs)
    release_mem_region(0xF000_0000, 0x1000)
