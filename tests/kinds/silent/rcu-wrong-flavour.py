from kmock.linux.srcu import DEFINE_SRCU, srcu_dereference, srcu_read_lock, srcu_read_unlock


def good(k):
    ssp = DEFINE_SRCU("ssp")
    shared = [1]
    idx = srcu_read_lock(ssp)
    srcu_dereference(shared, ssp)
    srcu_read_unlock(ssp, idx)
