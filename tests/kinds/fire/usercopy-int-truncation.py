from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import u32
from kmock.linux.uaccess import copy_from_user


def program(k):
    buf = kzalloc(16, GFP_KERNEL)
    header, total = 8, 4
    left = copy_from_user(buf, k.user().buffer(16), u32(total - header))  # here
    assert left
    kfree(buf)
