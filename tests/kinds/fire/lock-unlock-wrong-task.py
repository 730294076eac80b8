from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock


def program(k):
    lock = DEFINE_MUTEX("lock")
    mutex_lock(lock)
    with k.on_cpu(1):
        mutex_unlock(lock)  # here
