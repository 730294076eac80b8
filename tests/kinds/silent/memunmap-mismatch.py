from kmock.linux.io import MEMREMAP_WB, memremap, memunmap


def program(k):
    table = memremap(0xF000_0000, 0x1000, MEMREMAP_WB)
    memunmap(table)
