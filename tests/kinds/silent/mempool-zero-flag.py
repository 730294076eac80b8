from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy, mempool_free
from kmock.linux.slab import GFP_KERNEL
from kmock.linux.string import memset


def program(k):
    pool = mempool_create_kmalloc_pool(2, 64)
    request = mempool_alloc(pool, GFP_KERNEL)
    memset(request, 0, 64)
    mempool_free(request, pool)
    mempool_destroy(pool)
