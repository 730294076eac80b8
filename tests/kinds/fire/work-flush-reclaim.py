from kmock.linux.workqueue import (
    DECLARE_WORK,
    WQ_MEM_RECLAIM,
    alloc_workqueue,
    destroy_workqueue,
    flush_work,
    queue_work,
    schedule_work,
)


def program(k):
    other = DECLARE_WORK("other", lambda work: None)

    def func(work):
        schedule_work(other)
        flush_work(other)  # here

    wq = alloc_workqueue("reclaim", WQ_MEM_RECLAIM, 0)
    queue_work(wq, DECLARE_WORK("work", func))
    destroy_workqueue(wq)
