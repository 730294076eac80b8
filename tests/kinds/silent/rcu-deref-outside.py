from kmock.linux.rcupdate import rcu_dereference, rcu_read_lock, rcu_read_unlock


def good(k):
    shared = [1]
    rcu_read_lock()
    rcu_dereference(shared)
    rcu_read_unlock()
