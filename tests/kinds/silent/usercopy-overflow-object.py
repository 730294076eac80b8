from kmock.linux.minmax import min
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_from_user


def good(k):
    name = kzalloc(32, GFP_KERNEL)
    u = k.user().buffer(100)
    left = copy_from_user(name, u, min(100, 32))
    assert left == 0
    kfree(name)
