from kmock.linux.bootmem import alloc_bootmem_pages, free_bootmem
from kmock.linux.page import __pa


def good(k):
    with k.early_boot():
        table = alloc_bootmem_pages(4096)
        free_bootmem(__pa(table), 4096)
        again = alloc_bootmem_pages(4096)
        assert again == table
        free_bootmem(__pa(again), 4096)
