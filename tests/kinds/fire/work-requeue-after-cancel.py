from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, sizeof
from kmock.linux.workqueue import INIT_WORK, cancel_work_sync, schedule_work, work_struct


class Dev(Struct):
    work: work_struct


def program(k):
    dev = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))
    INIT_WORK(dev.work, lambda work: None)
    schedule_work(dev.work)
    cancel_work_sync(dev.work)
    schedule_work(dev.work)
    kfree(dev)  # here
