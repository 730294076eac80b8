from kmock.linux.slab import GFP_KERNEL, kmem_cache_alloc, kmem_cache_create, kmem_cache_destroy, kmem_cache_free


def program(k):
    small = kmem_cache_create("small", 48, 0, 0, None)
    big = kmem_cache_create("big", 480, 0, 0, None)
    p = kmem_cache_alloc(small, GFP_KERNEL)
    kmem_cache_free(small, p)
    kmem_cache_destroy(big)
    kmem_cache_destroy(small)
