from kmock.linux.lockdep import lockdep_assert_held
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock


def good(k):
    lock = DEFINE_MUTEX("lock")
    mutex_lock(lock)
    lockdep_assert_held(lock)
    mutex_unlock(lock)
