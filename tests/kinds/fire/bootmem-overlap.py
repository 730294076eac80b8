from kmock.linux.memblock import memblock_alloc, memblock_reserve
from kmock.linux.page import __pa


def program(k):
    with k.early_boot():
        table = memblock_alloc(4096, 4096)
        memblock_reserve(__pa(table) - 4096, 8192)  # here
