from kmock.linux.jiffies import jiffies
from kmock.linux.timer import mod_timer, timer_list, timer_setup


def good(k):
    timer = timer_list()
    timer_setup(timer, lambda timer: None, 0)
    mod_timer(timer, jiffies() + 1)
    k.advance(1)
