from kmock.linux.mmap_lock import mmap_write_lock, mmap_write_unlock
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_from_user


def program(k):
    p = k.user()
    u = p.buffer(64)
    request = kzalloc(64, GFP_KERNEL)
    mmap_write_lock(p.mm)
    left = copy_from_user(request, u, 64)  # here
    mmap_write_unlock(p.mm)
    assert left == 0
    kfree(request)
