from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc_array


def program(k):
    n = (1 << 60) + 1
    p = kmalloc_array(n, 16, GFP_KERNEL)
    assert not p
    kfree(p)
