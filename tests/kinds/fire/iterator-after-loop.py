from kmock.linux.list import LIST_HEAD, list_add, list_for_each_entry, list_head
from kmock.linux.types import Struct, u32


class Port(Struct):
    number: u32
    node: list_head


def find(ports, number):
    for port in list_for_each_entry(ports, Port, "node"):
        if port.number == number:
            break
    return port.number  # here


def program(k):
    ports = LIST_HEAD("ports")
    port = Port()
    port.number = 1
    list_add(port.node, ports)
    find(ports, 7)
