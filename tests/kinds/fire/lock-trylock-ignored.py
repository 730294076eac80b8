from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_trylock, mutex_unlock

lock = DEFINE_MUTEX("lock")


def program(k):
    mutex_lock(lock)
    with k.on_cpu(1):
        mutex_trylock(lock)  # here
        mutex_unlock(lock)
