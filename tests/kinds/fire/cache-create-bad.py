from kmock.linux.slab import kmem_cache_create


def program(k):
    kmem_cache_create(None, 48, 0, 0, None)  # here
