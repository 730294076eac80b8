from kmock.linux.interrupt import IRQ_HANDLED, IRQF_ONESHOT, free_irq, request_threaded_irq
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock

lock = DEFINE_MUTEX("lock")


def thread(irq, dev):
    mutex_lock(lock)
    mutex_unlock(lock)
    return IRQ_HANDLED


def program(k):
    request_threaded_irq(5, None, thread, IRQF_ONESHOT, "dev", lock)
    k.raise_irq(5)
    k.run()
    mutex_lock(lock)
    free_irq(5, lock)  # here
    mutex_unlock(lock)
