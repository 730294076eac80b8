from kmock.linux.io import MEMREMAP_WB, memremap, memunmap


def program(k):
    ram = memremap(0x100_0000, 0x1000, MEMREMAP_WB)
    assert ram
    memunmap(ram)
