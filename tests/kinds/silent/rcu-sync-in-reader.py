from kmock.linux.rcupdate import rcu_read_lock, rcu_read_unlock, synchronize_rcu


def good(k):
    rcu_read_lock()
    rcu_read_unlock()
    synchronize_rcu()
