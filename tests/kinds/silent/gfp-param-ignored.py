from kmock.linux.slab import GFP_ATOMIC, GFP_KERNEL, kfree, kmalloc


def new_request(gfp):
    return kmalloc(128, gfp)


def program(k):
    kfree(new_request(GFP_ATOMIC))
    kfree(new_request(GFP_KERNEL))
