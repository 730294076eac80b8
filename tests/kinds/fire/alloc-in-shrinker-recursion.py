from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.shrinker import register_shrinker, shrinker, unregister_shrinker


def count(shrinker, sc):
    return 1


def scan(shrinker, sc):
    __free_page(alloc_page(GFP_KERNEL))  # here
    return 0


def program(k):
    cache = shrinker(count_objects=count, scan_objects=scan)
    register_shrinker(cache, "cache")
    k.write_file("/proc/sys/vm/drop_caches", "2")
    unregister_shrinker(cache)
