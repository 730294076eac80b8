from kmock.linux.kernel import might_sleep
from kmock.linux.preempt import preempt_disable, preempt_enable


def program(k):
    preempt_disable()
    might_sleep()  # here
    preempt_enable()
