from kmock.linux.delay import msleep
from kmock.linux.kthread import kthread_run
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock


def program(k):
    a = DEFINE_MUTEX("a")
    b = DEFINE_MUTEX("b")

    def other(data):
        mutex_lock(b)
        msleep(10)
        mutex_lock(a)

    mutex_lock(a)
    kthread_run(other, None, "other")
    msleep(5)
    mutex_lock(b)  # here
