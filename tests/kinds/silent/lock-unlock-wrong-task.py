from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock


def good(k):
    lock = DEFINE_MUTEX("lock")
    mutex_lock(lock)
    mutex_unlock(lock)
    with k.on_cpu(1):
        mutex_lock(lock)
        mutex_unlock(lock)
