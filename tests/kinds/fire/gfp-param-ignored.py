from kmock.linux.slab import GFP_ATOMIC, GFP_KERNEL, kfree, kmalloc


def new_request(gfp):
    return kmalloc(128, GFP_KERNEL)  # here


def program(k):
    kfree(new_request(GFP_ATOMIC))
