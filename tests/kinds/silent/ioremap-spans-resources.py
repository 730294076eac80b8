from kmock.linux.io import ioremap, iounmap
from kmock.linux.ioport import DEFINE_RES_MEM_NAMED, insert_resource, iomem_resource


def program(k):
    insert_resource(iomem_resource, DEFINE_RES_MEM_NAMED(0xF000_0000, 0x1000, "BAR 0"))
    regs = ioremap(0xF000_0000, 0x1000)
    iounmap(regs)
