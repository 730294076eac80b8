from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.processor import cpu_relax
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u32

SCHEDULE = "-"


class Dev(Struct):
    ready: u32


def wait(dev):
    while not READ_ONCE(dev.ready):
        cpu_relax()


def program(k):
    dev = Dev.at(kzalloc(64, GFP_KERNEL))
    k.spawn(wait, dev, cpu=0)
    k.spawn(WRITE_ONCE, dev, "ready", 1, cpu=1)
    k.join()
    kfree(dev)
