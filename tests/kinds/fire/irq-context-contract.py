from kmock.linux.mutex import DEFINE_MUTEX, mutex_trylock, mutex_unlock


def program(k):
    lock = DEFINE_MUTEX("lock")
    with k.hardirq():
        if mutex_trylock(lock):  # here
            mutex_unlock(lock)
