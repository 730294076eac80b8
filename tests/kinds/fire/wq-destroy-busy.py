from kmock.linux.workqueue import DECLARE_DELAYED_WORK, alloc_workqueue, destroy_workqueue, queue_delayed_work


def program(k):
    wq = alloc_workqueue("dev", 0, 0)
    poll = DECLARE_DELAYED_WORK("poll", lambda work: None)
    queue_delayed_work(wq, poll, 10)
    destroy_workqueue(wq)  # here
