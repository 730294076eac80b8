from kmock.linux.errno import ENOMEM
from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy, mempool_free
from kmock.linux.slab import GFP_NOIO, GFP_NOWAIT


def submit(pool):
    request = mempool_alloc(pool, GFP_NOIO)
    request[0] = 1
    mempool_free(request, pool)


def try_submit(pool):
    request = mempool_alloc(pool, GFP_NOWAIT)
    if not request:
        return -ENOMEM
    request[0] = 1
    mempool_free(request, pool)
    return 0


def program(k):
    pool = mempool_create_kmalloc_pool(2, 64)
    submit(pool)
    try_submit(pool)
    mempool_destroy(pool)
