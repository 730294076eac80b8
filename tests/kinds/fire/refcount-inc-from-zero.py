from kmock.linux.refcount import REFCOUNT_INIT, refcount_inc


def program(k):
    users = REFCOUNT_INIT(0)
    refcount_inc(users)  # here
