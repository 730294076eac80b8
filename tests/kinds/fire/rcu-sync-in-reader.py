from kmock.linux.rcupdate import rcu_read_lock, synchronize_rcu


def program(k):
    rcu_read_lock()
    synchronize_rcu()  # here
