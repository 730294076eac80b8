from types import SimpleNamespace

from kmock.linux.rcupdate import rcu_assign_pointer, rcu_dereference, rcu_read_lock, rcu_read_unlock
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import NULL


def program(k):
    root = SimpleNamespace(config=NULL)
    rcu_assign_pointer(root, "config", kzalloc(64, GFP_KERNEL))
    with k.on_cpu(1):
        rcu_read_lock()
        rcu_dereference(root.config)
    old = root.config
    rcu_assign_pointer(root, "config", NULL)
    kfree(old)  # here
    with k.on_cpu(1):
        rcu_read_unlock()
