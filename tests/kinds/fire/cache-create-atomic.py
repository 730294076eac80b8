from kmock.linux.slab import kmem_cache_create, kmem_cache_destroy
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def program(k):
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    cache = kmem_cache_create("request", 48, 0, 0, None)  # here
    spin_unlock(lock)
    kmem_cache_destroy(cache)
