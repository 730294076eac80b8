from kmock.linux.gfp import __get_free_page, free_page
from kmock.linux.slab import GFP_KERNEL, kmem_cache_create, kmem_cache_destroy

BOOT = {"kasan": False, "cmdline": "slub_debug=FZPU"}


def program(k):
    cache = kmem_cache_create("request", 48, 0, 0, None)
    p = __get_free_page(GFP_KERNEL)
    free_page(p)
    kmem_cache_destroy(cache)
