from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.sched.mm import fs_reclaim_acquire, fs_reclaim_release, memalloc_nofs_restore, memalloc_nofs_save
from kmock.linux.slab import GFP_KERNEL, GFP_NOFS, kfree, kmalloc

writeback_lock = DEFINE_MUTEX("writeback_lock")


def write_back():
    fs_reclaim_acquire(GFP_KERNEL)
    kfree(kmalloc(64, GFP_NOFS))
    mutex_lock(writeback_lock)
    mutex_unlock(writeback_lock)
    fs_reclaim_release(GFP_KERNEL)


def good(k):
    write_back()
    mutex_lock(writeback_lock)
    saved = memalloc_nofs_save()
    kfree(kmalloc(64, GFP_KERNEL))
    memalloc_nofs_restore(saved)
    mutex_unlock(writeback_lock)
