from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy, mempool_free
from kmock.linux.slab import GFP_NOIO


def program(k):
    pool = mempool_create_kmalloc_pool(1, 64)
    k.faults.failslab(probability=100, times=-1, ignore_gfp_wait=False)
    request = mempool_alloc(pool, GFP_NOIO)
    answer = mempool_alloc(pool, GFP_NOIO)  # here
    mempool_free(answer, pool)
    mempool_free(request, pool)
    mempool_destroy(pool)
