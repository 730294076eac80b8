from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_from_user


def program(k):
    name = kzalloc(32, GFP_KERNEL)
    u = k.user().buffer(100)
    left = copy_from_user(name, u, 100)  # here
    assert left == 0
    kfree(name)
