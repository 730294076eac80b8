from kmock.linux.jiffies import jiffies
from kmock.linux.timer import DEFINE_TIMER, add_timer


def program(k):
    timer = DEFINE_TIMER("timer", lambda timer: None)
    timer.expires = jiffies() + 1
    add_timer(timer)
    add_timer(timer)  # here
    k.advance(1)
