from kmock.linux.mutex import DEFINE_MUTEX, mutex_trylock, mutex_unlock


def good(k):
    lock = DEFINE_MUTEX("lock")
    if mutex_trylock(lock):
        mutex_unlock(lock)
