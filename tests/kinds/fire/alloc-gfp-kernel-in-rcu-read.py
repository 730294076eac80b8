from kmock.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    rcu_read_lock()
    kfree(kmalloc(64, GFP_KERNEL))  # here
    rcu_read_unlock()
