from kmock.linux.preempt import preempt_enable


def program(k):
    preempt_enable()  # here
