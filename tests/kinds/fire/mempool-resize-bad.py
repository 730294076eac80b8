from kmock.linux.mempool import mempool_create_kmalloc_pool, mempool_resize


def program(k):
    pool = mempool_create_kmalloc_pool(2, 64)
    mempool_resize(pool, 0)  # here
