from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_to_user


def program(k):
    status = kzalloc(16, GFP_KERNEL)
    u = k.user().buffer(16)
    with k.hardirq():
        left = copy_to_user(u, status, 16)  # here
    assert left == 0
    kfree(status)
