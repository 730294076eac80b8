"""A per-CPU counter that a system call and an interrupt handler both advance.

Wrong: ``write`` turns preemption off and uses ``__this_cpu_inc``, which loads, adds and stores. The interrupt may come
in between, and what it counted is overwritten. One packet in a million is missing, on some machines.
Right: ``this_cpu_inc``, one instruction that nothing can split; or interrupts off around the update.
Expected: ``percpu-irq-unsafe``, at the ``__this_cpu_inc`` in ``tally_write``.
"""

from kmock.linux.fs import file_operations
from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.percpu import DEFINE_PER_CPU, __this_cpu_inc, get_cpu, put_cpu
from kmock.linux.types import u64

IRQ = 9

MODULE_LICENSE("GPL")

packets = DEFINE_PER_CPU(u64, "packets")


def tally_irq(irq, dev_id):
    __this_cpu_inc(packets)
    return IRQ_HANDLED


def tally_write(filp, buf, count, pos):
    get_cpu()
    __this_cpu_inc(packets)
    put_cpu()
    return count


tally = miscdevice(name="tally", fops=file_operations(owner=THIS_MODULE, write=tally_write))


def tally_init():
    err = request_irq(IRQ, tally_irq, 0, "tally", tally)
    if err:
        return err
    err = misc_register(tally)
    if err:
        free_irq(IRQ, tally)
    return err


def tally_exit():
    misc_deregister(tally)
    free_irq(IRQ, tally)


module_init(tally_init)
module_exit(tally_exit)
