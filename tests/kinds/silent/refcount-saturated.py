from kmock.linux.refcount import REFCOUNT_INIT, refcount_inc


def good(k):
    users = REFCOUNT_INIT(0x7FFFFFFE)
    refcount_inc(users)
