from kmock.linux.rcupdate import rcu_read_lock, rcu_read_unlock


def good(k):
    rcu_read_lock()
    rcu_read_lock()
    rcu_read_unlock()
    rcu_read_unlock()
