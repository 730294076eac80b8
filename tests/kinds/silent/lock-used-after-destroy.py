from kmock.linux.mutex import DEFINE_MUTEX, mutex_destroy, mutex_lock, mutex_unlock


def good(k):
    lock = DEFINE_MUTEX("lock")
    mutex_lock(lock)
    mutex_unlock(lock)
    mutex_destroy(lock)
