from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy, mempool_free
from kmock.linux.slab import GFP_NOIO


def program(k):
    reads = mempool_create_kmalloc_pool(2, 64)
    writes = mempool_create_kmalloc_pool(2, 128)
    request, answer = mempool_alloc(reads, GFP_NOIO), mempool_alloc(writes, GFP_NOIO)
    mempool_free(request, reads)
    mempool_free(answer, writes)
    mempool_destroy(writes)
    mempool_destroy(reads)
