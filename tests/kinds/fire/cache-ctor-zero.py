from kmock.linux.slab import GFP_KERNEL, kmem_cache_create, kmem_cache_destroy, kmem_cache_free, kmem_cache_zalloc


def ready(p):
    p[0] = 1


def program(k):
    cache = kmem_cache_create("request", 48, 0, 0, ready)
    p = kmem_cache_zalloc(cache, GFP_KERNEL)  # here
    p[0] = 1
    kmem_cache_free(cache, p)
    kmem_cache_destroy(cache)
