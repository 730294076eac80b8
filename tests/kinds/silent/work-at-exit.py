from kmock.linux.module import MODULE_LICENSE, module_exit, module_init
from kmock.linux.workqueue import DECLARE_DELAYED_WORK, cancel_delayed_work_sync, schedule_delayed_work

MODULE_LICENSE("GPL")
poll = DECLARE_DELAYED_WORK("poll", lambda work: None)


def dev_init():
    schedule_delayed_work(poll, 100)
    return 0


def dev_exit():
    cancel_delayed_work_sync(poll)


module_init(dev_init)
module_exit(dev_exit)


def good(k):
    k.rmmod(k.insmod(__file__))
