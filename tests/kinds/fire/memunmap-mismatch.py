from kmock.linux.io import MEMREMAP_WB, iounmap, memremap


def program(k):
    table = memremap(0xF000_0000, 0x1000, MEMREMAP_WB)
    iounmap(table)  # here
