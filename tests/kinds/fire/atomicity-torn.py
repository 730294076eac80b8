from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u64

BOOT = {"arch": "x86_32"}
SCHEDULE = "1:2:2"


class Stats(Struct):
    bytes: u64


def show(stats):
    return READ_ONCE(stats.bytes)  # here


def receive(stats):
    WRITE_ONCE(stats, "bytes", 0x1_0000_0000)


def program(k):
    stats = Stats.at(kzalloc(64, GFP_KERNEL))
    k.spawn(show, stats, cpu=0)
    k.spawn(receive, stats, cpu=1)
    k.join()
    kfree(stats)
