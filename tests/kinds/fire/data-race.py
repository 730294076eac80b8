from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u32

SCHEDULE = "-"


class Stats(Struct):
    packets: u32


def receive(stats):
    stats.packets += 1  # here


def program(k):
    stats = Stats.at(kzalloc(64, GFP_KERNEL))
    k.spawn(receive, stats, cpu=0)
    k.spawn(receive, stats, cpu=1)
    k.join()
    kfree(stats)
