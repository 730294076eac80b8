"""scullp: quanta of whole pages.

The C idiom: ``__get_free_pages(GFP_KERNEL, order)`` and ``free_pages(address, order)``, where the one that frees has to
know the order that was asked for. The quantum is a power of two of pages and can't be changed while the module is loaded.
"""

from kmock.linux.errno import EINVAL
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __get_free_pages, free_pages
from kmock.linux.mm import PAGE_SIZE
from kmock.linux.module import MODULE_LICENSE, S_IRUGO, module_exit, module_init, module_param
from sample_drivers import scull_core as core

scullp_major = 0
scullp_devs = 4
scullp_order = 0
scullp_qset = 500

module_param("scullp_major", int, S_IRUGO)
module_param("scullp_devs", int, S_IRUGO)
module_param("scullp_order", int, S_IRUGO)
module_param("scullp_qset", int, S_IRUGO)

MODULE_LICENSE("Dual BSD/GPL")


def quantum_alloc(size):
    return __get_free_pages(GFP_KERNEL | __GFP_ZERO, scullp_order)


def quantum_free(quantum, size):
    free_pages(quantum, scullp_order)


def scullp_init():
    if scullp_order < 0 or scullp_qset <= 0 or scullp_devs <= 0:
        return -EINVAL
    memory = core.ScullMemory(quantum_alloc, quantum_free, PAGE_SIZE << scullp_order, scullp_qset, resizable=False)
    return core.scull_init("scullp", memory, scullp_devs, scullp_major)


def scullp_exit():
    core.scull_cleanup()


module_init(scullp_init)
module_exit(scullp_exit)
