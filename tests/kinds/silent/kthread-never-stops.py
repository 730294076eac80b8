from kmock.linux.kthread import kthread_run, kthread_should_stop, kthread_stop
from kmock.linux.sched import TASK_INTERRUPTIBLE, TASK_RUNNING, schedule, set_current_state


def good(k):
    def thread(data):
        set_current_state(TASK_INTERRUPTIBLE)
        while not kthread_should_stop():
            schedule()
            set_current_state(TASK_INTERRUPTIBLE)
        set_current_state(TASK_RUNNING)

    task = kthread_run(thread, None, "thread")
    k.run()
    kthread_stop(task)
