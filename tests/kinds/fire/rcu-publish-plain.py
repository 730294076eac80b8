from types import SimpleNamespace

from kmock.linux.rcupdate import rcu_dereference, rcu_read_lock, rcu_read_unlock
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc


def program(k):
    root = SimpleNamespace()
    root.config = kzalloc(64, GFP_KERNEL)
    rcu_read_lock()
    rcu_dereference(root.config)  # here
    rcu_read_unlock()
    kfree(root.config)
