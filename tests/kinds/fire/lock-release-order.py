from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock


def program(k):
    a, b = DEFINE_MUTEX("a"), DEFINE_MUTEX("b")
    mutex_lock(a)
    mutex_lock(b)
    mutex_unlock(a)  # here
    mutex_unlock(b)
