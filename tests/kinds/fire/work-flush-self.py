from kmock.linux.workqueue import DECLARE_WORK, flush_work, schedule_work


def program(k):
    def func(work):
        flush_work(work)  # here

    schedule_work(DECLARE_WORK("work", func))
    k.run()
