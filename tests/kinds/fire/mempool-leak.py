from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool
from kmock.linux.slab import GFP_KERNEL

pools = []


def submit(pool):
    request = mempool_alloc(pool, GFP_KERNEL)  # here
    request[0] = 1


def program(k):
    pools.append(mempool_create_kmalloc_pool(4, 64))
    submit(pools[0])
