from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.sched import TASK_INTERRUPTIBLE, TASK_RUNNING, set_current_state


def good(k):
    lock = DEFINE_MUTEX("lock")
    mutex_lock(lock)
    set_current_state(TASK_INTERRUPTIBLE)
    set_current_state(TASK_RUNNING)
    mutex_unlock(lock)
