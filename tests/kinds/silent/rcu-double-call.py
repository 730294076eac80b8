from kmock.linux.rcupdate import call_rcu, rcu_barrier, rcu_head


def good(k):
    head = rcu_head()
    call_rcu(head, lambda head: None)
    rcu_barrier()
    call_rcu(head, lambda head: None)
    rcu_barrier()
