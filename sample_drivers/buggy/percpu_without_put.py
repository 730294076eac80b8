"""Counters of this processor, which one way out never lets go of.

Wrong: for an empty write ``counts_write`` returns between ``get_cpu_ptr`` and ``put_cpu_ptr``: preemption stays off.
Right: look at the arguments first, or ``put_cpu_ptr`` on every way out.
Expected: ``percpu-get-put-imbalance``, at the ``get_cpu_ptr`` in ``counts_write``.
"""

from kmock.linux.errno import EINVAL, ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.percpu import alloc_percpu, free_percpu, get_cpu_ptr, put_cpu_ptr
from kmock.linux.types import u64

MODULE_LICENSE("GPL")

written = None


def counts_write(filp, buf, count, pos):
    mine = get_cpu_ptr(written)
    if not count:
        return -EINVAL
    mine.value += count
    put_cpu_ptr(written)
    return count


counts = miscdevice(name="counts", fops=file_operations(owner=THIS_MODULE, write=counts_write))


def counts_init():
    global written
    written = alloc_percpu(u64)
    if not written:
        return -ENOMEM
    err = misc_register(counts)
    if err:
        free_percpu(written)
    return err


def counts_exit():
    misc_deregister(counts)
    free_percpu(written)


module_init(counts_init)
module_exit(counts_exit)
