from kmock.linux.kthread import kthread_run, kthread_stop
from kmock.linux.sched import TASK_INTERRUPTIBLE, schedule, set_current_state


def program(k):
    def thread(data):
        while True:
            set_current_state(TASK_INTERRUPTIBLE)
            schedule()

    task = kthread_run(thread, None, "thread")
    k.run()
    kthread_stop(task)  # here
