from kmock.linux.memblock import memblock_alloc


def good(k):
    with k.early_boot():
        memblock_alloc(100, 128)
