from kmock.linux.preempt import preempt_disable, preempt_enable


def good(k):
    preempt_disable()
    preempt_enable()
