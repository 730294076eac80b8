from kmock.linux.rcupdate import call_rcu, rcu_barrier, rcu_head


def program(k):
    head = rcu_head()
    call_rcu(head, lambda head: None)
    call_rcu(head, lambda head: None)  # here
    rcu_barrier()
