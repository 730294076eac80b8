from kmock.linux.compiler import READ_ONCE
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import spin_lock, spin_lock_init, spin_unlock, spinlock_t
from kmock.linux.types import Struct, u32

SCHEDULE = "-"


class Stats(Struct):
    lock: spinlock_t
    packets: u32


def receive(stats):
    spin_lock(stats.lock)
    stats.packets += 1
    spin_unlock(stats.lock)


def program(k):
    stats = Stats.at(kzalloc(64, GFP_KERNEL))
    spin_lock_init(stats.lock)
    k.spawn(receive, stats, cpu=0)
    k.spawn(receive, stats, cpu=1)
    k.join()
    assert READ_ONCE(stats.packets) == 2
    kfree(stats)
