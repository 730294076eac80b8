from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.uaccess import copy_from_user


def program(k):
    lock = DEFINE_SPINLOCK("config_lock")
    config = kzalloc(16, GFP_KERNEL)
    u = k.user().buffer(16)
    spin_lock(lock)
    left = copy_from_user(config, u, 16)  # here
    spin_unlock(lock)
    assert left == 0
    kfree(config)
