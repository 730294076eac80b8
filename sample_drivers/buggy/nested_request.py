"""A driver that needs a second request to do the first, from the same pool.

Wrong: ``mirror_ioctl`` holds a request while it asks for another. With memory to spare nothing happens, for years. Then the
allocator has nothing, the reserve of one goes to the first request, and the second waits for the first, which waits for it.
Right: two pools, one for requests and one for what they are mirrored by.
Expected: ``mempool-nested-alloc``, at the second ``mempool_alloc`` in ``mirror_ioctl``.
"""

from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy, mempool_free
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import GFP_NOIO

MODULE_LICENSE("GPL")

requests = None


def mirror_ioctl(filp, cmd, arg):
    request = mempool_alloc(requests, GFP_NOIO)
    mirrored = mempool_alloc(requests, GFP_NOIO)
    mempool_free(mirrored, requests)
    mempool_free(request, requests)
    return 0


mirror = miscdevice(name="mirror", fops=file_operations(owner=THIS_MODULE, unlocked_ioctl=mirror_ioctl))


def mirror_init():
    global requests
    requests = mempool_create_kmalloc_pool(1, 64)
    if not requests:
        return -ENOMEM
    err = misc_register(mirror)
    if err:
        mempool_destroy(requests)
    return err


def mirror_exit():
    misc_deregister(mirror)
    mempool_destroy(requests)


module_init(mirror_init)
module_exit(mirror_exit)
