from kmock.linux.interrupt import tasklet_schedule, tasklet_setup, tasklet_struct
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, sizeof


class Dev(Struct):
    tasklet: tasklet_struct


def program(k):
    dev = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))
    tasklet_setup(dev.tasklet, lambda tasklet: None)
    tasklet_schedule(dev.tasklet)
    kfree(dev)  # here
