from kmock.linux.mempool import mempool_alloc, mempool_create, mempool_destroy, mempool_free
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.types import NULL


def program(k):
    left = [1]

    def alloc(gfp, data):
        return kmalloc(64, gfp) if left and left.pop() else NULL

    pool = mempool_create(1, alloc, lambda element, data: kfree(element), NULL)
    request = mempool_alloc(pool, GFP_KERNEL)
    request[0] = 1
    mempool_free(request, pool)
    request = mempool_alloc(pool, GFP_KERNEL)
    request[0] += 1
    mempool_free(request, pool)
    mempool_destroy(pool)
