from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.list import list_del, list_head
from kmock.linux.slab import kfree, kzalloc
from kmock.linux.types import Struct, addressof, sizeof, u64


class item(Struct):
    value: u64
    node: list_head


def program(k):
    a = item.at(kzalloc(sizeof(item), GFP_KERNEL))
    list_del(a.node)  # here
    kfree(addressof(a))
