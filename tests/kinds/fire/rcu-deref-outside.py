from kmock.linux.rcupdate import rcu_dereference


def program(k):
    shared = [1]
    rcu_dereference(shared)  # here
