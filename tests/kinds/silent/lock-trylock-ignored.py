from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_trylock, mutex_unlock

lock = DEFINE_MUTEX("lock")


def good(k):
    mutex_lock(lock)
    with k.on_cpu(1):
        if mutex_trylock(lock):
            mutex_unlock(lock)
    mutex_unlock(lock)
