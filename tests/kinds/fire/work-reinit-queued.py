from kmock.linux.workqueue import INIT_WORK, flush_work, schedule_work, work_struct


def program(k):
    work = work_struct()
    INIT_WORK(work, lambda work: None)
    schedule_work(work)
    INIT_WORK(work, lambda work: None)  # here
    flush_work(work)
