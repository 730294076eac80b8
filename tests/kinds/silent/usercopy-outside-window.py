from kmock.linux.slab import (
    GFP_KERNEL,
    kmem_cache_create_usercopy,
    kmem_cache_destroy,
    kmem_cache_free,
    kmem_cache_zalloc,
)
from kmock.linux.uaccess import copy_to_user


def good(k):
    cache = kmem_cache_create_usercopy("session", 128, 0, 0, 0, 64, None)
    session = kmem_cache_zalloc(cache, GFP_KERNEL)
    left = copy_to_user(k.user().buffer(64), session, 64)
    assert left == 0
    kmem_cache_free(cache, session)
    kmem_cache_destroy(cache)
