from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.sched.mm import fs_reclaim_acquire, fs_reclaim_release
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

writeback_lock = DEFINE_MUTEX("writeback_lock")


def write_back():
    fs_reclaim_acquire(GFP_KERNEL)
    mutex_lock(writeback_lock)
    mutex_unlock(writeback_lock)
    fs_reclaim_release(GFP_KERNEL)


def program(k):
    write_back()
    mutex_lock(writeback_lock)
    kfree(kmalloc(64, GFP_KERNEL))  # here
    mutex_unlock(writeback_lock)
