from kmock.linux.workqueue import (
    DECLARE_WORK,
    alloc_workqueue,
    destroy_workqueue,
    flush_work,
    queue_work,
    schedule_work,
)


def good(k):
    other = DECLARE_WORK("other", lambda work: None)

    def func(work):
        schedule_work(other)
        flush_work(other)

    wq = alloc_workqueue("plain", 0, 0)
    queue_work(wq, DECLARE_WORK("work", func))
    destroy_workqueue(wq)
