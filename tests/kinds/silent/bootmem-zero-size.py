from kmock.linux.bootmem import alloc_bootmem


def good(k):
    with k.early_boot():
        alloc_bootmem(1)
