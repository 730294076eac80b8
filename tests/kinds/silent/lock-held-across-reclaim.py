from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_trylock, mutex_unlock
from kmock.linux.shrinker import SHRINK_STOP, register_shrinker, shrinker, unregister_shrinker
from kmock.linux.slab import GFP_KERNEL, GFP_NOFS, kfree, kmalloc

tried = DEFINE_MUTEX("tried")
cache_lock = DEFINE_MUTEX("cache_lock")


def count(shrinker, sc):
    return 1


def scan(shrinker, sc):
    if not mutex_trylock(tried):
        return SHRINK_STOP
    mutex_lock(cache_lock)
    mutex_unlock(cache_lock)
    mutex_unlock(tried)
    return 0


def good(k):
    cache = shrinker(count_objects=count, scan_objects=scan)
    register_shrinker(cache, "cache")
    k.write_file("/proc/sys/vm/drop_caches", "2")
    mutex_lock(tried)
    kfree(kmalloc(64, GFP_KERNEL))
    mutex_unlock(tried)
    entry = kmalloc(64, GFP_KERNEL)
    mutex_lock(cache_lock)
    kfree(kmalloc(64, GFP_NOFS))
    mutex_unlock(cache_lock)
    kfree(entry)
    unregister_shrinker(cache)
