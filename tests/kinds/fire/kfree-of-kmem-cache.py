from kmock.linux.slab import GFP_KERNEL, kfree, kmem_cache_alloc, kmem_cache_create, kmem_cache_destroy


def program(k):
    cache = kmem_cache_create("request", 48, 0, 0, None)
    kfree(kmem_cache_alloc(cache, GFP_KERNEL))  # here
    kmem_cache_destroy(cache)
