from kmock.linux.workqueue import INIT_WORK, flush_work, schedule_work, work_struct


def good(k):
    work = work_struct()
    INIT_WORK(work, lambda work: None)
    schedule_work(work)
    flush_work(work)
    INIT_WORK(work, lambda work: None)
