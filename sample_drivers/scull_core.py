"""What the scull drivers have in common: a device that is a piece of memory, as long as what was written to it.

The memory is a list of *quantum sets*; each has an array of pointers to *quanta*, which come into being when they are
written to. Only where a quantum comes from differs between scull, scullc, scullp and scullv.

C idioms in this file:

- A structure that points to its own kind (``struct scull_qset *next``) is a Struct with a ``Ptr`` member; going on to
  the next is ``ScullQset.at(qset.next)``.
- An array of pointers (``void **data``) is memory of ``n * 8`` bytes seen through ``p.ptr[i]``.
- A ``struct cdev`` and a ``struct mutex`` lie *inside* the device's structure, and ``container_of`` leads back from
  ``inode->i_cdev`` to the device, whose address goes to ``filp->private_data``.
- ``goto out`` with a mutex to release becomes ``try``/``finally``.
- A table of function pointers (``struct scull_memory``) is what the drivers hand over.
- ``*f_pos`` is ``f_pos.value``.

In C this file would be linked into each of the modules. So it is here: every module has a copy of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

from kmock.linux.cdev import cdev, cdev_add, cdev_del, cdev_init
from kmock.linux.errno import EFAULT, EINVAL, ENOMEM, ENOTTY, EPERM, ERESTARTSYS
from kmock.linux.fs import (
    MKDEV,
    O_ACCMODE,
    O_WRONLY,
    SEEK_CUR,
    SEEK_END,
    SEEK_SET,
    alloc_chrdev_region,
    file_operations,
    register_chrdev_region,
    unregister_chrdev_region,
)
from kmock.linux.ioctl import _IO, _IOC_NR, _IOC_TYPE, _IOR, _IOW, _IOWR
from kmock.linux.kdev_t import MAJOR
from kmock.linux.kernel import container_of, pr_notice, pr_warn
from kmock.linux.module import THIS_MODULE
from kmock.linux.mutex import mutex, mutex_init, mutex_lock_interruptible, mutex_unlock
from kmock.linux.slab import GFP_KERNEL, kcalloc, kfree, kzalloc
from kmock.linux.types import NULL, Ptr, Struct, sizeof, u32, u64
from kmock.linux.uaccess import copy_from_user, copy_to_user, get_user, put_user

SCULL_MAGIC = "k"
SCULL_IOCRESET = _IO(SCULL_MAGIC, 0)
# S means "set" through a pointer, T "tell" by value, G "get" through a pointer, Q "query" by the result,
# X "exchange" through a pointer, H "shift": tell the new and get the old one.
SCULL_IOCSQUANTUM = _IOW(SCULL_MAGIC, 1, int)
SCULL_IOCTQUANTUM = _IO(SCULL_MAGIC, 2)
SCULL_IOCGQUANTUM = _IOR(SCULL_MAGIC, 3, int)
SCULL_IOCQQUANTUM = _IO(SCULL_MAGIC, 4)
SCULL_IOCXQUANTUM = _IOWR(SCULL_MAGIC, 5, int)
SCULL_IOCHQUANTUM = _IO(SCULL_MAGIC, 6)
SCULL_IOC_MAXNR = 6

POINTER = sizeof(Ptr)


class ScullQset(Struct):
    data: Ptr  # array of pointers to quanta
    next: Ptr


class ScullDev(Struct):
    data: Ptr  # the first quantum set
    quantum: u32  # bytes of a quantum
    qset: u32  # quanta of a set
    size: u64  # bytes stored here
    lock: mutex
    cdev: cdev


@dataclass
class ScullMemory:
    """Where quanta come from; ``alloc`` returns zeroed memory, or NULL."""

    alloc: Callable[[int], Ptr]
    free: Callable[[Ptr, int], None]
    quantum: int
    qset: int
    resizable: bool = True


class Scull:
    """The globals of a scull driver: its devices and where they take their memory from."""

    def __init__(self, name, memory, nr_devs):
        self.name = name
        self.memory = memory
        self.nr_devs = nr_devs
        self.dev = 0
        self.devices = NULL

    def device(self, i):
        return ScullDev.at(self.devices + i * sizeof(ScullDev))


scull = None  # the driver; set by scull_init


def scull_trim(dev):
    """Empty the device. The caller holds its lock, or is the only one that knows it."""
    memory = scull.memory
    here = dev.data
    while here:
        qset = ScullQset.at(here)
        if qset.data:
            for i in range(dev.qset):
                if qset.data.ptr[i]:
                    memory.free(qset.data.ptr[i], dev.quantum)
            kfree(qset.data)
        following = qset.next
        kfree(here)
        here = following
    dev.size = 0
    dev.quantum = memory.quantum
    dev.qset = memory.qset
    dev.data = NULL


def scull_follow(dev, n):
    """Return the n-th quantum set, making those on the way that are missing; None without memory."""
    if not dev.data:
        dev.data = kzalloc(sizeof(ScullQset), GFP_KERNEL)
        if not dev.data:
            return None
    qset = ScullQset.at(dev.data)
    for _ in range(n):
        if not qset.next:
            qset.next = kzalloc(sizeof(ScullQset), GFP_KERNEL)
            if not qset.next:
                return None
        qset = ScullQset.at(qset.next)
    return qset


def scull_place(dev, pos):
    """Split a position: number of the set, quantum in it, byte in that."""
    item, rest = divmod(pos, dev.quantum * dev.qset)
    s_pos, q_pos = divmod(rest, dev.quantum)
    return item, s_pos, q_pos


def scull_open(inode, filp):
    dev = container_of(inode.i_cdev, ScullDev, "cdev")
    filp.private_data = dev
    if filp.f_flags & O_ACCMODE == O_WRONLY:
        if mutex_lock_interruptible(dev.lock):
            return -ERESTARTSYS
        scull_trim(dev)
        mutex_unlock(dev.lock)
    return 0


def scull_release(inode, filp):
    return 0


def scull_read(filp, buf, count, f_pos):
    dev = filp.private_data
    if mutex_lock_interruptible(dev.lock):
        return -ERESTARTSYS
    try:
        if f_pos.value >= dev.size:
            return 0
        count = min(count, dev.size - f_pos.value)
        item, s_pos, q_pos = scull_place(dev, f_pos.value)
        qset = scull_follow(dev, item)
        if qset is None or not qset.data or not qset.data.ptr[s_pos]:
            return 0  # a hole
        count = min(count, dev.quantum - q_pos)  # to the end of this quantum only
        if copy_to_user(buf, qset.data.ptr[s_pos] + q_pos, count):
            return -EFAULT
        f_pos.value += count
        return count
    finally:
        mutex_unlock(dev.lock)


def scull_write(filp, buf, count, f_pos):
    dev = filp.private_data
    if mutex_lock_interruptible(dev.lock):
        return -ERESTARTSYS
    try:
        item, s_pos, q_pos = scull_place(dev, f_pos.value)
        quantum = scull_quantum(dev, item, s_pos)
        if not quantum:
            return -ENOMEM
        count = min(count, dev.quantum - q_pos)
        if copy_from_user(quantum + q_pos, buf, count):
            return -EFAULT
        f_pos.value += count
        dev.size = max(dev.size, f_pos.value)
        return count
    finally:
        mutex_unlock(dev.lock)


def scull_quantum(dev, item, s_pos):
    """Return a quantum to write to, making it if need be; NULL without memory."""
    qset = scull_follow(dev, item)
    if qset is None:
        return NULL
    if not qset.data:
        qset.data = kcalloc(dev.qset, POINTER, GFP_KERNEL)
        if not qset.data:
            return NULL
    if not qset.data.ptr[s_pos]:
        qset.data.ptr[s_pos] = scull.memory.alloc(dev.quantum)
    return qset.data.ptr[s_pos]


def scull_llseek(filp, off, whence):
    dev = filp.private_data
    if whence == SEEK_SET:
        newpos = off
    elif whence == SEEK_CUR:
        newpos = filp.f_pos + off
    elif whence == SEEK_END:
        newpos = dev.size + off
    else:
        return -EINVAL
    if newpos < 0:
        return -EINVAL
    filp.f_pos = newpos
    return newpos


def scull_ioctl(filp, cmd, arg):
    if _IOC_TYPE(cmd) != ord(SCULL_MAGIC) or _IOC_NR(cmd) > SCULL_IOC_MAXNR:
        return -ENOTTY
    memory = scull.memory
    where = Ptr(arg).u32
    if cmd == SCULL_IOCRESET:
        return scull_set_quantum(memory.quantum)
    if cmd == SCULL_IOCSQUANTUM:
        err, value = get_user(where)
        return err or scull_set_quantum(value)
    if cmd == SCULL_IOCTQUANTUM:
        return scull_set_quantum(arg)
    if cmd == SCULL_IOCGQUANTUM:
        return put_user(memory.quantum, where)
    if cmd == SCULL_IOCQQUANTUM:
        return memory.quantum
    if cmd == SCULL_IOCXQUANTUM:
        before = memory.quantum
        err, value = get_user(where)
        return err or scull_set_quantum(value) or put_user(before, where)
    if cmd == SCULL_IOCHQUANTUM:
        before = memory.quantum
        return scull_set_quantum(arg) or before
    return -ENOTTY


def scull_set_quantum(value):
    """What devices use from their next trim on."""
    if not scull.memory.resizable and value != scull.memory.quantum:
        return -EPERM
    if value <= 0:
        return -EINVAL
    scull.memory.quantum = value
    return 0


scull_fops = file_operations(
    owner=THIS_MODULE,
    llseek=scull_llseek,
    read=scull_read,
    write=scull_write,
    unlocked_ioctl=scull_ioctl,
    open=scull_open,
    release=scull_release,
)


def scull_setup_cdev(dev, index):
    cdev_init(dev.cdev, scull_fops)
    dev.cdev.owner = THIS_MODULE
    err = cdev_add(dev.cdev, scull.dev + index, 1)
    if err:
        pr_notice("Error %d adding %s%d", err, scull.name, index)
    return err


def scull_init(name, memory, nr_devs, major=0, minor=0):
    """Set the driver up; 0, or -errno with everything undone."""
    global scull
    scull = Scull(name, memory, nr_devs)
    if major:
        scull.dev = MKDEV(major, minor)
        err = register_chrdev_region(scull.dev, nr_devs, name)
    else:
        err, scull.dev = alloc_chrdev_region(minor, nr_devs, name)
    if err < 0:
        pr_warn("%s: can't get major %d\n", name, major)
        return err
    scull.devices = kcalloc(nr_devs, sizeof(ScullDev), GFP_KERNEL)
    if not scull.devices:
        unregister_chrdev_region(scull.dev, nr_devs)
        return -ENOMEM
    for i in range(nr_devs):
        dev = scull.device(i)
        dev.quantum = memory.quantum
        dev.qset = memory.qset
        mutex_init(dev.lock)
    for i in range(nr_devs):
        err = scull_setup_cdev(scull.device(i), i)
        if err:
            scull_cleanup(ready=i)
            return err
    pr_notice("%s: major %d\n", name, MAJOR(scull.dev))
    return 0


def scull_cleanup(ready=None):
    """Undo :func:`scull_init`, of which the first ``ready`` devices can be opened; all by default."""
    for i in range(scull.nr_devs):
        dev = scull.device(i)
        if ready is None or i < ready:
            cdev_del(dev.cdev)
        scull_trim(dev)
    kfree(scull.devices)
    unregister_chrdev_region(scull.dev, scull.nr_devs)
