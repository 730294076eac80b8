from kmock.linux.module import MODULE_LICENSE, module_exit, module_init
from kmock.linux.rcupdate import call_rcu, rcu_head

MODULE_LICENSE("GPL")


def reclaim(head):
    pass


def dev_init():
    return 0


def dev_exit():
    call_rcu(rcu_head(), reclaim)  # here


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    k.rmmod(k.insmod(__file__))
