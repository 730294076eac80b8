from kmock.linux.jiffies import jiffies
from kmock.linux.timer import mod_timer, timer_list


def program(k):
    timer = timer_list()
    mod_timer(timer, jiffies() + 1)  # here
    k.advance(1)
