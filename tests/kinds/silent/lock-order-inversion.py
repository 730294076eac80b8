from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_trylock, mutex_unlock


def good(k):
    a, b, c = DEFINE_MUTEX("a"), DEFINE_MUTEX("b"), DEFINE_MUTEX("c")
    for outer, inner in ((a, b), (b, c), (a, c)):
        mutex_lock(outer)
        mutex_lock(inner)
        mutex_unlock(inner)
        mutex_unlock(outer)
    mutex_lock(c)
    if mutex_trylock(a):
        mutex_unlock(a)
    mutex_unlock(c)
