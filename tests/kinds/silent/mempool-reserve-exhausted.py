from kmock.linux.mempool import mempool_alloc, mempool_create, mempool_destroy, mempool_free
from kmock.linux.slab import GFP_ATOMIC
from kmock.linux.types import NULL
from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    left = [1, 1]

    def alloc(gfp, data):
        return vmalloc(4096) if left and left.pop() else NULL

    pool = mempool_create(2, alloc, lambda element, data: vfree(element), NULL)
    tables = [mempool_alloc(pool, GFP_ATOMIC) for _ in range(3)]
    assert not tables[2]
    for table in tables:
        mempool_free(table, pool)
    mempool_destroy(pool)
