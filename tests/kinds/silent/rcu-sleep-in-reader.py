from kmock.linux.delay import msleep
from kmock.linux.rcupdate import rcu_read_lock, rcu_read_unlock


def good(k):
    rcu_read_lock()
    rcu_read_unlock()
    msleep(1)
