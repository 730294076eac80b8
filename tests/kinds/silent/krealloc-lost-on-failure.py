from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc, krealloc


def program(k):
    p = kmalloc(32, GFP_KERNEL)
    k.faults.fail_nth(1)
    q = krealloc(p, 300, GFP_KERNEL)
    kfree(q or p)
