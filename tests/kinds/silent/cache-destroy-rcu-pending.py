from kmock.linux.rcupdate import kfree_rcu, rcu_head
from kmock.linux.slab import GFP_KERNEL, kmem_cache_alloc, kmem_cache_create, kmem_cache_destroy
from kmock.linux.types import Struct, sizeof, u64


class Node(Struct):
    rcu: rcu_head
    key: u64


def program(k):
    cache = kmem_cache_create("node", sizeof(Node), 0, 0, None)
    node = Node.at(kmem_cache_alloc(cache, GFP_KERNEL))
    kfree_rcu(node, "rcu")
    k.advance(6)
    kmem_cache_destroy(cache)
