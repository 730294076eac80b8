from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock


def program(k):
    lock = DEFINE_MUTEX("lock")
    mutex_lock(lock)  # here
