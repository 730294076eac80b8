from kmock.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kmock.linux.slab import GFP_ATOMIC, GFP_KERNEL, kfree, kmalloc


def good(k):
    rcu_read_lock()
    kfree(kmalloc(64, GFP_ATOMIC))
    rcu_read_unlock()
    kfree(kmalloc(64, GFP_KERNEL))
