from kmock.linux.delay import msleep
from kmock.linux.rcupdate import rcu_read_lock, rcu_read_unlock


def program(k):
    rcu_read_lock()
    msleep(1)  # here
    rcu_read_unlock()
