from kmock.linux.delay import msleep
from kmock.linux.kthread import kthread_run, kthread_stop
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock


def good(k):
    a = DEFINE_MUTEX("a")
    b = DEFINE_MUTEX("b")

    def other(data):
        mutex_lock(a)
        msleep(10)
        mutex_lock(b)
        mutex_unlock(b)
        mutex_unlock(a)

    mutex_lock(a)
    task = kthread_run(other, None, "other")
    msleep(5)
    mutex_lock(b)
    mutex_unlock(b)
    mutex_unlock(a)
    kthread_stop(task)
