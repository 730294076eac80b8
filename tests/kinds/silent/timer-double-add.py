from kmock.linux.jiffies import jiffies
from kmock.linux.timer import DEFINE_TIMER, add_timer


def good(k):
    timer = DEFINE_TIMER("timer", lambda timer: None)
    timer.expires = jiffies() + 1
    add_timer(timer)
    k.advance(1)
    timer.expires = jiffies() + 1
    add_timer(timer)
    k.advance(1)
