from kmock.linux.mempool import mempool_alloc, mempool_create, mempool_destroy
from kmock.linux.slab import GFP_ATOMIC
from kmock.linux.types import NULL
from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    left = [1, 1]

    def alloc(gfp, data):
        return vmalloc(4096) if left and left.pop() else NULL

    pool = mempool_create(2, alloc, lambda element, data: vfree(element), NULL)
    for _ in range(2):
        table = mempool_alloc(pool, GFP_ATOMIC)
        vfree(table)
    assert not mempool_alloc(pool, GFP_ATOMIC)  # here
    mempool_destroy(pool)
