from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.timer import DEFINE_TIMER, del_timer_sync


def program(k):
    timer = DEFINE_TIMER("timer", lambda timer: None)

    def handler(irq, dev):
        del_timer_sync(timer)  # here
        return IRQ_HANDLED

    dev = object()
    request_irq(9, handler, 0, "dev", dev)
    k.raise_irq(9)
    free_irq(9, dev)
