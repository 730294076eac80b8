"""vblk: a small disk in memory, whose requests come from a mempool.

The C idiom: memory must be written out to get memory back, so the path to the disk may never fail for want of memory.
Each sector that is read or written is a request from a pool over a slab cache: ``mempool_alloc(GFP_NOIO)`` sleeps until a
request is done where the cache has nothing. The disk does one request in a tick: a timer takes the first one off the
queue, moves its bytes, and gives the request back from softirq context, which wakes whoever waits for one. No task
holds a request while it asks for another.

What a system call waits for is its own: a count of requests under way, and a completion.
"""

from kmock.linux.atomic import atomic_dec_and_test, atomic_inc, atomic_set, atomic_t
from kmock.linux.completion import complete, completion, init_completion, wait_for_completion
from kmock.linux.errno import EFAULT, EINVAL, ENOMEM, ENOSPC, ENOTTY
from kmock.linux.fs import file_operations
from kmock.linux.jiffies import jiffies
from kmock.linux.list import LIST_HEAD, list_add_tail, list_del, list_empty, list_first_entry, list_head
from kmock.linux.mempool import (
    mempool_alloc,
    mempool_create_slab_pool,
    mempool_destroy,
    mempool_free,
    mempool_resize,
)
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, S_IRUGO, THIS_MODULE, module_exit, module_init, module_param
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.slab import (
    GFP_KERNEL,
    GFP_NOIO,
    SLAB_HWCACHE_ALIGN,
    kfree,
    kmalloc,
    kmem_cache_create,
    kmem_cache_destroy,
    kzalloc,
)
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_lock_irqsave, spin_unlock, spin_unlock_irqrestore
from kmock.linux.string import memcpy
from kmock.linux.timer import DEFINE_TIMER, del_timer_sync, mod_timer
from kmock.linux.types import Ptr, Struct, addressof, sizeof, u32
from kmock.linux.uaccess import copy_from_user, copy_to_user
from kmock.linux.vmalloc import vfree, vzalloc

SECTOR = 512
MAX_SECTORS = 32
SET_DEPTH = 1

vblk_sectors = 256
vblk_depth = 4

module_param("vblk_sectors", int, S_IRUGO)
module_param("vblk_depth", int, S_IRUGO)

MODULE_LICENSE("GPL")


class vblk_io(Struct):
    """One system call's work."""

    pending: atomic_t
    done: completion
    data: Ptr


class vblk_request(Struct):
    """One sector of it."""

    queue: list_head
    io: Ptr
    data: Ptr
    sector: u32
    write: u32


vblk_cache = None
vblk_pool = None
vblk_medium = None
vblk_queue = LIST_HEAD("vblk_queue")
vblk_lock = DEFINE_SPINLOCK("vblk_lock")
vblk_reconfigure = DEFINE_MUTEX("vblk_reconfigure")


# -- the disk -----------------------------------------------------------------------------------------


def vblk_io_done(io):
    if atomic_dec_and_test(io.pending):
        complete(io.done)


def vblk_tick(timer):
    spin_lock(vblk_lock)
    req = list_first_entry(vblk_queue, vblk_request, "queue")
    list_del(req.queue)
    more = not list_empty(vblk_queue)
    spin_unlock(vblk_lock)
    place = vblk_medium + req.sector * SECTOR
    if req.write:
        memcpy(place, req.data, SECTOR)
    else:
        memcpy(req.data, place, SECTOR)
    io = vblk_io.at(req.io)
    mempool_free(addressof(req), vblk_pool)
    vblk_io_done(io)
    if more:
        mod_timer(vblk_timer, jiffies() + 1)


vblk_timer = DEFINE_TIMER("vblk_timer", vblk_tick)


def vblk_submit(io, sector, data, write):
    req = vblk_request.at(mempool_alloc(vblk_pool, GFP_NOIO))
    req.io = addressof(io)
    req.data = data
    req.sector = sector
    req.write = write
    atomic_inc(io.pending)
    flags = spin_lock_irqsave(vblk_lock)
    idle = list_empty(vblk_queue)
    list_add_tail(req.queue, vblk_queue)
    spin_unlock_irqrestore(vblk_lock, flags)
    if idle:
        mod_timer(vblk_timer, jiffies() + 1)


def vblk_do_io(io, first, count, write):
    atomic_set(io.pending, 1)  # this one keeps it from being done before all is submitted
    init_completion(io.done)
    for n in range(count // SECTOR):
        vblk_submit(io, first + n, io.data + n * SECTOR, write)
    vblk_io_done(io)
    wait_for_completion(io.done)


# -- its users ----------------------------------------------------------------------------------------


def vblk_open(inode, filp):
    memory = kzalloc(sizeof(vblk_io), GFP_KERNEL)
    if not memory:
        return -ENOMEM
    io = vblk_io.at(memory)
    io.data = kmalloc(MAX_SECTORS * SECTOR, GFP_KERNEL)
    if not io.data:
        kfree(memory)
        return -ENOMEM
    filp.private_data = io
    return 0


def vblk_release(inode, filp):
    kfree(filp.private_data.data)
    kfree(addressof(filp.private_data))
    return 0


def vblk_bounds(count, f_pos):
    """How many bytes there are to move, in whole sectors."""
    if count % SECTOR or f_pos.value % SECTOR:
        return -EINVAL
    return min(count, MAX_SECTORS * SECTOR, vblk_sectors * SECTOR - f_pos.value)


def vblk_read(filp, buf, count, f_pos):
    io = filp.private_data
    count = vblk_bounds(count, f_pos)
    if count <= 0:
        return count
    vblk_do_io(io, f_pos.value // SECTOR, count, 0)
    if copy_to_user(buf, io.data, count):
        return -EFAULT
    f_pos.value += count
    return count


def vblk_write(filp, buf, count, f_pos):
    io = filp.private_data
    count = vblk_bounds(count, f_pos)
    if count <= 0:
        return count or -ENOSPC
    if copy_from_user(io.data, buf, count):
        return -EFAULT
    vblk_do_io(io, f_pos.value // SECTOR, count, 1)
    f_pos.value += count
    return count


def vblk_ioctl(filp, cmd, arg):
    if cmd != SET_DEPTH:
        return -ENOTTY
    if not 0 < arg <= 1024:
        return -EINVAL
    mutex_lock(vblk_reconfigure)
    err = mempool_resize(vblk_pool, arg)
    mutex_unlock(vblk_reconfigure)
    return err


vblk = miscdevice(
    name="vblk",
    fops=file_operations(
        owner=THIS_MODULE,
        open=vblk_open,
        release=vblk_release,
        read=vblk_read,
        write=vblk_write,
        unlocked_ioctl=vblk_ioctl,
    ),
)


def vblk_free():
    mempool_destroy(vblk_pool)
    kmem_cache_destroy(vblk_cache)
    vfree(vblk_medium)


def vblk_init():
    global vblk_cache, vblk_pool, vblk_medium
    if vblk_sectors <= 0 or vblk_depth <= 0:
        return -EINVAL
    vblk_medium = vzalloc(vblk_sectors * SECTOR)
    vblk_cache = kmem_cache_create("vblk_request", sizeof(vblk_request), 0, SLAB_HWCACHE_ALIGN, None)
    if vblk_cache:
        vblk_pool = mempool_create_slab_pool(vblk_depth, vblk_cache)
    if not vblk_medium or not vblk_pool:
        vblk_free()
        return -ENOMEM
    err = misc_register(vblk)
    if err:
        vblk_free()
    return err


def vblk_exit():
    misc_deregister(vblk)
    del_timer_sync(vblk_timer)
    vblk_free()


module_init(vblk_init)
module_exit(vblk_exit)
