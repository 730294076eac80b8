from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy
from kmock.linux.slab import GFP_KERNEL, kfree


def program(k):
    pool = mempool_create_kmalloc_pool(2, 64)
    request = mempool_alloc(pool, GFP_KERNEL)
    kfree(request)  # here
    mempool_destroy(pool)
