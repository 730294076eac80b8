from kmock.linux.wait import DECLARE_WAIT_QUEUE_HEAD, wait_event

queue = DECLARE_WAIT_QUEUE_HEAD("queue")


def program(k):
    done = []

    def finish():
        done.append(True)

    k.spawn(lambda: wait_event(queue, lambda: done), name="waiter")  # here
    k.spawn(finish)
    k.join()
