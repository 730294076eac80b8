from kmock.linux.slab import GFP_KERNEL, kmem_cache_create, kmem_cache_destroy, kmem_cache_free, kmem_cache_zalloc
from kmock.linux.uaccess import copy_to_user


def program(k):
    cache = kmem_cache_create("session", 128, 0, 0, None)
    session = kmem_cache_zalloc(cache, GFP_KERNEL)
    left = copy_to_user(k.user().buffer(64), session, 64)  # here
    assert left == 0
    kmem_cache_free(cache, session)
    kmem_cache_destroy(cache)
