from kmock.linux.mutex import DEFINE_MUTEX, mutex_destroy, mutex_lock


def program(k):
    lock = DEFINE_MUTEX("lock")
    mutex_lock(lock)
    mutex_destroy(lock)  # here
