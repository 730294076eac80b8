from kmock.linux.memblock import memblock_alloc


def program(k):
    with k.early_boot():
        memblock_alloc(100, 96)  # here
