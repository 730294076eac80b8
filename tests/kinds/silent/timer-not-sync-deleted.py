from kmock.linux.jiffies import jiffies
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.timer import del_timer_sync, mod_timer, timer_list, timer_setup
from kmock.linux.types import Struct, sizeof


class Dev(Struct):
    timer: timer_list


def good(k):
    dev = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))
    timer_setup(dev.timer, lambda timer: None, 0)
    mod_timer(dev.timer, jiffies() + 1)
    k.advance(1)
    del_timer_sync(dev.timer)
    kfree(dev)
