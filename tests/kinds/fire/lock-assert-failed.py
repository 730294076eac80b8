from kmock.linux.lockdep import lockdep_assert_held
from kmock.linux.mutex import DEFINE_MUTEX


def program(k):
    lock = DEFINE_MUTEX("lock")
    lockdep_assert_held(lock)  # here
