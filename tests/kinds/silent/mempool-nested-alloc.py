from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy, mempool_free
from kmock.linux.slab import GFP_NOIO


def program(k):
    requests = mempool_create_kmalloc_pool(1, 64)
    answers = mempool_create_kmalloc_pool(1, 64)
    k.faults.failslab(probability=100, times=-1, ignore_gfp_wait=False)
    request = mempool_alloc(requests, GFP_NOIO)
    answer = mempool_alloc(answers, GFP_NOIO)
    mempool_free(answer, answers)
    mempool_free(request, requests)
    mempool_destroy(answers)
    mempool_destroy(requests)
