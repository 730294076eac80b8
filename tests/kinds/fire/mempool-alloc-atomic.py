from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy, mempool_free
from kmock.linux.slab import GFP_NOIO
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock

lock = DEFINE_SPINLOCK("lock")


def program(k):
    pool = mempool_create_kmalloc_pool(2, 64)
    spin_lock(lock)
    request = mempool_alloc(pool, GFP_NOIO)  # here
    spin_unlock(lock)
    mempool_free(request, pool)
    mempool_destroy(pool)
