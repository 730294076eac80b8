from kmock.linux.bootmem import alloc_bootmem


def good(k):
    with k.early_boot():
        table = alloc_bootmem(64)
    table.u32[0] = 1
