"""scullv: quanta of many pages that need not lie side by side.

The C idiom: ``vmalloc`` for buffers too large to hope for contiguous pages, ``vfree`` to give them back. What it returns is
good for the processor and for ``copy_to_user``; a device could not reach it with one address. The default quantum is
sixteen pages, and can't be changed while the module is loaded.
"""

from kmock.linux.errno import EINVAL
from kmock.linux.mm import PAGE_SIZE
from kmock.linux.module import MODULE_LICENSE, S_IRUGO, module_exit, module_init, module_param
from kmock.linux.vmalloc import vfree, vzalloc
from sample_drivers import scull_core as core

scullv_major = 0
scullv_devs = 4
scullv_order = 4
scullv_qset = 500

module_param("scullv_major", int, S_IRUGO)
module_param("scullv_devs", int, S_IRUGO)
module_param("scullv_order", int, S_IRUGO)
module_param("scullv_qset", int, S_IRUGO)

MODULE_LICENSE("Dual BSD/GPL")


def quantum_alloc(size):
    return vzalloc(size)


def quantum_free(quantum, size):
    vfree(quantum)


def scullv_init():
    if scullv_order < 0 or scullv_qset <= 0 or scullv_devs <= 0:
        return -EINVAL
    memory = core.ScullMemory(quantum_alloc, quantum_free, PAGE_SIZE << scullv_order, scullv_qset, resizable=False)
    return core.scull_init("scullv", memory, scullv_devs, scullv_major)


def scullv_exit():
    core.scull_cleanup()


module_init(scullv_init)
module_exit(scullv_exit)
