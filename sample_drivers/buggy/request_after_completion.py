"""A driver that notes how a request ended, in the request, after it gave it back.

Wrong: ``flash_write`` stores the status behind ``mempool_free``. The element waits in the reserve by then, or is somebody
else's request already, whose status it becomes.
Right: store first, free last.
Expected: ``mempool-element-written``, at the store in ``flash_write``.
"""

from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy, mempool_free
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import GFP_NOIO
from kmock.linux.types import Struct, addressof, sizeof, u32

MODULE_LICENSE("GPL")

requests = None


class flash_request(Struct):
    length: u32
    status: u32


def flash_write(filp, buf, count, f_pos):
    request = flash_request.at(mempool_alloc(requests, GFP_NOIO))
    request.length = count
    mempool_free(addressof(request), requests)
    request.status = 1
    return count


flash = miscdevice(name="flash", fops=file_operations(owner=THIS_MODULE, write=flash_write))


def flash_init():
    global requests
    requests = mempool_create_kmalloc_pool(2, sizeof(flash_request))
    if not requests:
        return -ENOMEM
    err = misc_register(flash)
    if err:
        mempool_destroy(requests)
    return err


def flash_exit():
    misc_deregister(flash)
    mempool_destroy(requests)


module_init(flash_init)
module_exit(flash_exit)
