"""An interrupt handler that goes on using what a command has freed.

Wrong: ``RESET`` frees the counters while the handler is still registered with their address.
Right: ``free_irq`` first, which waits for a running handler; then ``kfree``.
Expected: ``irq-after-teardown``, at the store in ``counter_interrupt``.
"""

from kmock.linux.errno import ENOMEM, ENOTTY
from kmock.linux.fs import file_operations
from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc

RESET = 1
IRQ = 9

MODULE_LICENSE("GPL")

counters = None
gone = False


def counter_interrupt(irq, dev_id):
    dev_id.u64[0] = 1
    return IRQ_HANDLED


def counter_ioctl(filp, cmd, arg):
    global gone
    if cmd != RESET:
        return -ENOTTY
    kfree(counters)
    gone = True
    return 0


counter = miscdevice(name="counter", fops=file_operations(owner=THIS_MODULE, unlocked_ioctl=counter_ioctl))


def counter_init():
    global counters
    counters = kzalloc(64, GFP_KERNEL)
    if not counters:
        return -ENOMEM
    err = request_irq(IRQ, counter_interrupt, 0, "counter", counters)
    if err:
        kfree(counters)
        return err
    err = misc_register(counter)
    if err:
        free_irq(IRQ, counters)
        kfree(counters)
    return err


def counter_exit():
    misc_deregister(counter)
    free_irq(IRQ, counters)
    if not gone:
        kfree(counters)


module_init(counter_init)
module_exit(counter_exit)
