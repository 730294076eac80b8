from kmock.linux.slab import (
    GFP_KERNEL,
    SLAB_TYPESAFE_BY_RCU,
    kmem_cache_alloc,
    kmem_cache_create,
    kmem_cache_destroy,
    kmem_cache_free,
)


def program(k):
    cache = kmem_cache_create("node", 64, 0, SLAB_TYPESAFE_BY_RCU, None)
    found = kmem_cache_alloc(cache, GFP_KERNEL)
    kmem_cache_free(cache, found)
    now = kmem_cache_alloc(cache, GFP_KERNEL)
    now[0] = 2
    found[0]  # here
    kmem_cache_free(cache, now)
    kmem_cache_destroy(cache)
