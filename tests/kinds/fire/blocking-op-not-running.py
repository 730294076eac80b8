from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.sched import TASK_INTERRUPTIBLE, TASK_RUNNING, set_current_state


def program(k):
    lock = DEFINE_MUTEX("lock")
    set_current_state(TASK_INTERRUPTIBLE)
    mutex_lock(lock)  # here
    mutex_unlock(lock)
    set_current_state(TASK_RUNNING)
