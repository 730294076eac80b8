from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.wait import DECLARE_WAIT_QUEUE_HEAD, wait_event


def good(k):
    lock = DEFINE_SPINLOCK("lock")
    queue = DECLARE_WAIT_QUEUE_HEAD("queue")
    spin_lock(lock)
    spin_unlock(lock)
    wait_event(queue, lambda: True)
