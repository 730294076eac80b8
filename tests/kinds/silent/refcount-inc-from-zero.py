from kmock.linux.refcount import REFCOUNT_INIT, refcount_inc


def good(k):
    users = REFCOUNT_INIT(1)
    refcount_inc(users)
