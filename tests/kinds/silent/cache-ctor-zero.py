from kmock.linux.slab import GFP_KERNEL, kmem_cache_alloc, kmem_cache_create, kmem_cache_destroy, kmem_cache_free


def ready(p):
    p[0] = 1


def program(k):
    cache = kmem_cache_create("request", 48, 0, 0, ready)
    p = kmem_cache_alloc(cache, GFP_KERNEL)
    kmem_cache_free(cache, p)
    kmem_cache_destroy(cache)
