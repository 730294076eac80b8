from kmock.linux.delay import msleep
from kmock.linux.kthread import kthread_run, kthread_should_stop
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init

MODULE_LICENSE("GPL")
threads = []


def poll(data):
    while not kthread_should_stop():
        msleep(10)
    return 0


def dev_init():
    threads.append(kthread_run(poll, None, "poll"))  # here
    return 0


def dev_exit():
    pass


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    k.rmmod(k.insmod(__file__))
