from kmock.linux.slab import (
    GFP_KERNEL,
    kmem_cache_alloc_bulk,
    kmem_cache_create,
    kmem_cache_destroy,
    kmem_cache_free_bulk,
)


def program(k):
    cache = kmem_cache_create("request", 48, 0, 0, None)
    _, objects = kmem_cache_alloc_bulk(cache, GFP_KERNEL, 1)
    kmem_cache_free_bulk(cache, 2, objects * 2)  # here
    kmem_cache_destroy(cache)
