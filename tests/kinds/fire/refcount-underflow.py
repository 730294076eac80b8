from kmock.linux.refcount import REFCOUNT_INIT, refcount_dec_and_test


def program(k):
    users = REFCOUNT_INIT(0)
    refcount_dec_and_test(users)  # here
