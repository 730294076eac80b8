from kmock.linux.wait import DECLARE_WAIT_QUEUE_HEAD, wait_event, wake_up

queue = DECLARE_WAIT_QUEUE_HEAD("queue")


def program(k):
    done = []

    def finish():
        done.append(True)
        wake_up(queue)

    k.spawn(lambda: wait_event(queue, lambda: done), name="waiter")
    k.spawn(finish)
    k.join()
