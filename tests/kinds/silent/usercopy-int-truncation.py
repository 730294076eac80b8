from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_from_user


def good(k):
    buf = kzalloc(16, GFP_KERNEL)
    header, total = 4, 8
    left = copy_from_user(buf, k.user().buffer(16), total - header)
    assert left == 0
    kfree(buf)
