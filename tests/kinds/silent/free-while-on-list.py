from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.list import LIST_HEAD, list_add, list_del, list_head
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.types import Struct, addressof, sizeof, u64


class item(Struct):
    value: u64
    node: list_head


def program(k):
    queue = LIST_HEAD()
    a = item.at(kmalloc(sizeof(item), GFP_KERNEL))
    list_add(a.node, queue)
    list_del(a.node)
    kfree(addressof(a))
