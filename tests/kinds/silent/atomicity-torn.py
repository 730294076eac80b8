from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import spin_lock, spin_lock_init, spin_unlock, spinlock_t
from kmock.linux.types import Struct, u64

BOOT = {"arch": "x86_32"}
SCHEDULE = "1:3:2"


class Stats(Struct):
    lock: spinlock_t
    bytes: u64


def show(stats):
    spin_lock(stats.lock)
    total = READ_ONCE(stats.bytes)
    spin_unlock(stats.lock)
    return total


def receive(stats):
    spin_lock(stats.lock)
    WRITE_ONCE(stats, "bytes", 0x1_0000_0000)
    spin_unlock(stats.lock)


def program(k):
    stats = Stats.at(kzalloc(64, GFP_KERNEL))
    spin_lock_init(stats.lock)
    k.spawn(show, stats, cpu=0)
    k.spawn(receive, stats, cpu=1)
    k.join()
    kfree(stats)
