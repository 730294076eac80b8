"""An object that goes back to a cache it did not come from.

Wrong: two caches, and the release function names the other one.
Right: ``kmem_cache_free`` with the cache of the allocation; better, one function that frees what one allocates.
Expected: ``cache-wrong-cache-free``, at the ``kmem_cache_free`` in ``pair_release``.
"""

from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kmem_cache_alloc, kmem_cache_create, kmem_cache_destroy, kmem_cache_free

MODULE_LICENSE("GPL")

requests = None
replies = None


def pair_open(inode, filp):
    filp.private_data = kmem_cache_alloc(requests, GFP_KERNEL)
    return 0 if filp.private_data else -ENOMEM


def pair_release(inode, filp):
    kmem_cache_free(replies, filp.private_data)
    return 0


pair = miscdevice(name="pair", fops=file_operations(owner=THIS_MODULE, open=pair_open, release=pair_release))


def pair_init():
    global requests, replies
    requests = kmem_cache_create("pair_request", 200, 0, 0, None)
    replies = kmem_cache_create("pair_reply", 600, 0, 0, None)
    if not requests or not replies:
        kmem_cache_destroy(requests)
        kmem_cache_destroy(replies)
        return -ENOMEM
    return misc_register(pair)


def pair_exit():
    misc_deregister(pair)
    kmem_cache_destroy(replies)
    kmem_cache_destroy(requests)


module_init(pair_init)
module_exit(pair_exit)
