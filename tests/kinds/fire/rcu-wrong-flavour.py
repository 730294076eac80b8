from kmock.linux.rcupdate import rcu_dereference
from kmock.linux.srcu import DEFINE_SRCU, srcu_read_lock, srcu_read_unlock


def program(k):
    ssp = DEFINE_SRCU("ssp")
    shared = [1]
    idx = srcu_read_lock(ssp)
    rcu_dereference(shared)  # here
    srcu_read_unlock(ssp, idx)
