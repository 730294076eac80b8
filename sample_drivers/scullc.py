"""scullc: quanta from a slab cache of their own.

The C idiom: many objects of one size, so ``kmem_cache_create`` once and ``kmem_cache_alloc`` often. Quanta are copied
from and to processes, so the cache says which part of an object may be: all of it. Kernels before 4.16 didn't ask, and
the driver that the books print, with plain ``kmem_cache_create``, is stopped by hardened usercopy today.

The objects' size is the cache's: the quantum can't be changed while the module is loaded.
"""

from kmock.linux.errno import EINVAL, ENOMEM
from kmock.linux.module import MODULE_LICENSE, S_IRUGO, module_exit, module_init, module_param
from kmock.linux.slab import (
    GFP_KERNEL,
    SLAB_HWCACHE_ALIGN,
    kmem_cache_create_usercopy,
    kmem_cache_destroy,
    kmem_cache_free,
    kmem_cache_zalloc,
)
from sample_drivers import scull_core as core

scullc_major = 0
scullc_devs = 4
scullc_quantum = 4000
scullc_qset = 500

module_param("scullc_major", int, S_IRUGO)
module_param("scullc_devs", int, S_IRUGO)
module_param("scullc_quantum", int, S_IRUGO)
module_param("scullc_qset", int, S_IRUGO)

MODULE_LICENSE("Dual BSD/GPL")

scullc_cache = None


def quantum_alloc(size):
    return kmem_cache_zalloc(scullc_cache, GFP_KERNEL)


def quantum_free(quantum, size):
    kmem_cache_free(scullc_cache, quantum)


def scullc_init():
    global scullc_cache
    if scullc_quantum <= 0 or scullc_qset <= 0 or scullc_devs <= 0:
        return -EINVAL
    scullc_cache = kmem_cache_create_usercopy("scullc", scullc_quantum, 0, SLAB_HWCACHE_ALIGN, 0, scullc_quantum, None)
    if not scullc_cache:
        return -ENOMEM
    memory = core.ScullMemory(quantum_alloc, quantum_free, scullc_quantum, scullc_qset, resizable=False)
    err = core.scull_init("scullc", memory, scullc_devs, scullc_major)
    if err:
        kmem_cache_destroy(scullc_cache)
    return err


def scullc_exit():
    core.scull_cleanup()
    kmem_cache_destroy(scullc_cache)


module_init(scullc_init)
module_exit(scullc_exit)
