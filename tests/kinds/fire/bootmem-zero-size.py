from kmock.linux.bootmem import alloc_bootmem


def program(k):
    with k.early_boot():
        alloc_bootmem(0)  # here
