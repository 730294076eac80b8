"""scull: quanta from kmalloc.

The C idiom: the simplest allocation there is, ``kmalloc(quantum, GFP_KERNEL)`` and ``kfree``, in a system call that
may sleep. The quantum is zeroed: a process may seek past the end and write there, and then read what lies before it,
which would otherwise be whatever the memory held.
"""

from kmock.linux.errno import EINVAL
from kmock.linux.module import (
    MODULE_LICENSE,
    S_IRUGO,
    module_exit,
    module_init,
    module_param,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from sample_drivers import scull_core as core

scull_major = 0  # dynamic by default
scull_minor = 0
scull_nr_devs = 4
scull_quantum = 4000
scull_qset = 1000

module_param("scull_major", int, S_IRUGO)
module_param("scull_minor", int, S_IRUGO)
module_param("scull_nr_devs", int, S_IRUGO)
module_param("scull_quantum", int, S_IRUGO)
module_param("scull_qset", int, S_IRUGO)

MODULE_LICENSE("Dual BSD/GPL")


def quantum_alloc(size):
    return kzalloc(size, GFP_KERNEL)


def quantum_free(quantum, size):
    kfree(quantum)


def scull_init():
    if scull_quantum <= 0 or scull_qset <= 0 or scull_nr_devs <= 0:
        return -EINVAL
    memory = core.ScullMemory(quantum_alloc, quantum_free, scull_quantum, scull_qset)
    return core.scull_init("scull", memory, scull_nr_devs, scull_major, scull_minor)


def scull_exit():
    core.scull_cleanup()


module_init(scull_init)
module_exit(scull_exit)
