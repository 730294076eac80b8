from kmock.linux.refcount import REFCOUNT_INIT, refcount_dec_and_test


def good(k):
    users = REFCOUNT_INIT(1)
    refcount_dec_and_test(users)
