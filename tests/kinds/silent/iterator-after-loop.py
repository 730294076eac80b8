from kmock.linux.list import LIST_HEAD, list_add, list_for_each_entry, list_head
from kmock.linux.types import Struct, u32


class Port(Struct):
    number: u32
    node: list_head


def find(ports, number):
    found = None
    for port in list_for_each_entry(ports, Port, "node"):
        if port.number == number:
            found = port
    return found and found.number


def program(k):
    ports = LIST_HEAD("ports")
    port = Port()
    port.number = 1
    list_add(port.node, ports)
    assert find(ports, 1) == 1
    assert find(ports, 7) is None
    assert [entry.number for entry in list(list_for_each_entry(ports, Port, "node"))] == [1]
