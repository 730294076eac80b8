from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.shrinker import register_shrinker, shrinker, unregister_shrinker
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

cache_lock = DEFINE_MUTEX("cache_lock")


def count(shrinker, sc):
    return 1


def scan(shrinker, sc):
    mutex_lock(cache_lock)
    mutex_unlock(cache_lock)
    return 0


def program(k):
    cache = shrinker(count_objects=count, scan_objects=scan)
    register_shrinker(cache, "cache")
    k.write_file("/proc/sys/vm/drop_caches", "2")
    mutex_lock(cache_lock)
    entry = kmalloc(64, GFP_KERNEL)  # here
    mutex_unlock(cache_lock)
    kfree(entry)
    unregister_shrinker(cache)
