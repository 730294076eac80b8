from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.workqueue import DECLARE_WORK, cancel_work_sync, schedule_work

lock = DEFINE_MUTEX("lock")


def refill(work):
    mutex_lock(lock)
    mutex_unlock(lock)


def good(k):
    work = DECLARE_WORK("work", refill)
    schedule_work(work)
    k.run()
    mutex_lock(lock)
    mutex_unlock(lock)
    cancel_work_sync(work)
