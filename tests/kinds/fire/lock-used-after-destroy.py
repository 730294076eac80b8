from kmock.linux.mutex import DEFINE_MUTEX, mutex_destroy, mutex_lock, mutex_unlock


def program(k):
    lock = DEFINE_MUTEX("lock")
    mutex_destroy(lock)
    mutex_lock(lock)  # here
    mutex_unlock(lock)
