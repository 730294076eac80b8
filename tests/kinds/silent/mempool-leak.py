from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy, mempool_free
from kmock.linux.slab import GFP_KERNEL


def submit(pool):
    request = mempool_alloc(pool, GFP_KERNEL)
    request[0] = 1
    return request


def program(k):
    pool = mempool_create_kmalloc_pool(4, 64)
    mempool_free(submit(pool), pool)
    mempool_destroy(pool)
