from kmock.linux.gfp import __get_free_page, free_page
from kmock.linux.slab import GFP_KERNEL, kmem_cache_create, kmem_cache_destroy, kmem_cache_free

BOOT = {"kasan": False, "cmdline": "slub_debug=FZPU"}


def program(k):
    cache = kmem_cache_create("request", 48, 0, 0, None)
    p = __get_free_page(GFP_KERNEL)
    kmem_cache_free(cache, p)  # here
    free_page(p)
    kmem_cache_destroy(cache)
