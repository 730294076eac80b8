from kmock.linux.jiffies import jiffies
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.timer import del_timer, mod_timer, timer_list, timer_setup
from kmock.linux.types import Struct, sizeof


class Dev(Struct):
    timer: timer_list


def program(k):
    dev = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))

    def remove():
        del_timer(dev.timer)
        kfree(dev)  # here

    def tick(timer):
        with k.on_cpu(1):  # the driver is removed there meanwhile
            remove()

    timer_setup(dev.timer, tick, 0)
    mod_timer(dev.timer, jiffies() + 1)
    k.advance(1)
