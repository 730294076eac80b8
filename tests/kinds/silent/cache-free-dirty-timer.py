from kmock.linux.slab import GFP_KERNEL, kmem_cache_create, kmem_cache_destroy, kmem_cache_free, kmem_cache_zalloc
from kmock.linux.types import Struct, sizeof
from kmock.linux.workqueue import INIT_DELAYED_WORK, cancel_delayed_work_sync, delayed_work, schedule_delayed_work


class Dev(Struct):
    poll: delayed_work


def good(k):
    cache = kmem_cache_create("dev", sizeof(Dev), 0, 0, None)
    dev = Dev.at(kmem_cache_zalloc(cache, GFP_KERNEL))
    INIT_DELAYED_WORK(dev.poll, lambda work: None)
    schedule_delayed_work(dev.poll, 10)
    cancel_delayed_work_sync(dev.poll)
    kmem_cache_free(cache, dev)
    kmem_cache_destroy(cache)
