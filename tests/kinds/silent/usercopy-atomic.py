from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.string import memcpy
from kmock.linux.uaccess import copy_from_user


def good(k):
    lock = DEFINE_SPINLOCK("config_lock")
    config, fresh = kzalloc(16, GFP_KERNEL), kzalloc(16, GFP_KERNEL)
    u = k.user().buffer(16)
    left = copy_from_user(fresh, u, 16)
    spin_lock(lock)
    memcpy(config, fresh, 16)
    spin_unlock(lock)
    assert left == 0
    kfree(fresh)
    kfree(config)
