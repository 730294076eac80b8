from kmock.linux.module import MODULE_LICENSE, module_exit, module_init
from kmock.linux.workqueue import DECLARE_DELAYED_WORK, schedule_delayed_work

MODULE_LICENSE("GPL")
poll = DECLARE_DELAYED_WORK("poll", lambda work: None)


def dev_init():
    schedule_delayed_work(poll, 100)  # here
    return 0


def dev_exit():
    pass


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    k.rmmod(k.insmod(__file__))
