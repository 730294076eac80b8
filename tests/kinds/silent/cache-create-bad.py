from kmock.linux.slab import kmem_cache_create, kmem_cache_destroy


def program(k):
    kmem_cache_destroy(kmem_cache_create("request", 48, 0, 0, None))
