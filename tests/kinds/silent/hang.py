from kmock.linux.kthread import kthread_run
from kmock.linux.wait import DECLARE_WAIT_QUEUE_HEAD, wait_event, wake_up


def good(k):
    queue = DECLARE_WAIT_QUEUE_HEAD("queue")
    ready = []

    def other(data):
        ready.append(True)
        wake_up(queue)
        return 0

    kthread_run(other, None, "other")
    wait_event(queue, lambda: ready)
