from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy, mempool_free
from kmock.linux.slab import GFP_KERNEL


def program(k):
    pool = mempool_create_kmalloc_pool(1, 64)
    request = mempool_alloc(pool, GFP_KERNEL)
    mempool_free(request, pool)
    mempool_free(request, pool)  # here
    mempool_destroy(pool)
