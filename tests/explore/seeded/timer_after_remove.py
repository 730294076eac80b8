"""remove() deletes a timer without waiting for its function, which may be running on another processor."""

from kmock.linux.jiffies import jiffies
from kmock.linux.kernel import container_of
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.timer import add_timer_on, del_timer, del_timer_sync, timer_list, timer_setup
from kmock.linux.types import Struct, u32

FINDS = {"slab-use-after-free-read", "slab-use-after-free-write", "data-race", "timer-not-sync-deleted"}


class Dev(Struct):
    timer: timer_list
    beats: u32


def beat(timer):
    dev = container_of(timer, Dev, "timer")
    dev.beats += 1


def remove(dev, *, mended):
    (del_timer_sync if mended else del_timer)(dev.timer)
    kfree(dev)


def program(k, *, mended):
    dev = Dev.at(kzalloc(128, GFP_KERNEL))
    timer_setup(dev.timer, beat, 0)
    dev.timer.expires = jiffies() + 1
    add_timer_on(dev.timer, 1)
    k.spawn(lambda: remove(dev, mended=mended), cpu=0, name="remove")
    k.join()
