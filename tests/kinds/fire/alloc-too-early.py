from kmock.linux.slab import GFP_KERNEL, kmalloc


def program(k):
    with k.early_boot():
        kmalloc(64, GFP_KERNEL)  # here
