from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock


def good(k):
    lock = DEFINE_MUTEX("lock")
    mutex_lock(lock)
    with k.hardirq():
        pass
    mutex_unlock(lock)
