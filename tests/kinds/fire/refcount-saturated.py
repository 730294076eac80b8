from kmock.linux.refcount import REFCOUNT_INIT, refcount_inc


def program(k):
    users = REFCOUNT_INIT(0x7FFFFFFF)
    refcount_inc(users)  # here
