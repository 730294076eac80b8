from kmock.linux.wait import DECLARE_WAIT_QUEUE_HEAD, wait_event


def program(k):
    queue = DECLARE_WAIT_QUEUE_HEAD("queue")
    wait_event(queue, lambda: False)  # here
