from kmock.linux.io import ioremap, iounmap
from kmock.linux.ioport import release_mem_region, request_mem_region
from kmock.linux.printk import pr_err


def probe():
    if not request_mem_region(0xF000_0000, 0x1000, "second"):
        pr_err("region is busy\n")
    return ioremap(0xF000_0000, 0x1000)  # here


def program(k):
    request_mem_region(0xF000_0000, 0x1000, "first")
    regs = probe()
    iounmap(regs)
    release_mem_region(0xF000_0000, 0x1000)
