from kmock.linux.workqueue import (
    DECLARE_DELAYED_WORK,
    alloc_workqueue,
    cancel_delayed_work_sync,
    destroy_workqueue,
    queue_delayed_work,
)


def good(k):
    wq = alloc_workqueue("dev", 0, 0)
    poll = DECLARE_DELAYED_WORK("poll", lambda work: None)
    queue_delayed_work(wq, poll, 10)
    cancel_delayed_work_sync(poll)
    destroy_workqueue(wq)
