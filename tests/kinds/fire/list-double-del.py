from kmock.linux.list import LIST_HEAD, list_add, list_del, list_head
from kmock.linux.types import Struct, u64


class item(Struct):
    value: u64
    node: list_head


def program(k):
    queue = LIST_HEAD()
    a = item()
    list_add(a.node, queue)
    list_del(a.node)
    list_del(a.node)  # here
