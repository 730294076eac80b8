from kmock.linux.interrupt import DECLARE_TASKLET, IRQ_HANDLED, free_irq, request_irq, tasklet_kill, tasklet_schedule


def good(k):
    tasklet = DECLARE_TASKLET("tasklet", lambda tasklet: None)

    def handler(irq, dev):
        tasklet_schedule(tasklet)
        return IRQ_HANDLED

    dev = object()
    request_irq(9, handler, 0, "dev", dev)
    k.raise_irq(9)
    free_irq(9, dev)
    tasklet_kill(tasklet)
