from kmock.linux.slab import kmem_cache_create, kmem_cache_destroy


def program(k):
    cache = kmem_cache_create("request", 48, 0, 0, None)
    kmem_cache_destroy(cache)
    kmem_cache_destroy(cache)  # here
