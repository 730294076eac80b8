from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock


def program(k):
    a, b, c = DEFINE_MUTEX("a"), DEFINE_MUTEX("b"), DEFINE_MUTEX("c")
    mutex_lock(a)
    mutex_lock(b)
    mutex_unlock(b)
    mutex_unlock(a)
    mutex_lock(b)
    mutex_lock(c)
    mutex_unlock(c)
    mutex_unlock(b)
    mutex_lock(c)
    mutex_lock(a)  # here
    mutex_unlock(a)
    mutex_unlock(c)
