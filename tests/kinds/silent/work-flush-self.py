from kmock.linux.workqueue import DECLARE_WORK, flush_work, queue_work, schedule_work, system_unbound_wq


def good(k):
    other = DECLARE_WORK("other", lambda work: None)
    queue_work(system_unbound_wq, other)
    schedule_work(DECLARE_WORK("work", lambda work: flush_work(other)))
    k.run()
