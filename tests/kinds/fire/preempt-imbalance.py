from kmock.linux.preempt import preempt_disable


def program(k):
    preempt_disable()  # here
