from kmock.linux.slab import __GFP_HIGHMEM, GFP_KERNEL, kfree, kmalloc


def program(k):
    kfree(kmalloc(64, GFP_KERNEL | __GFP_HIGHMEM))  # here
