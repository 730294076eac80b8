from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_to_user


def good(k):
    status = kzalloc(16, GFP_KERNEL)
    u = k.user().buffer(16)
    with k.hardirq():
        status[0] = 1
    left = copy_to_user(u, status, 16)
    assert left == 0
    kfree(status)
