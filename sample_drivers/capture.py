"""capture: a ring of pages that a device fills and processes look at.

The C idiom: pages of ``alloc_page`` are shown one by one, so that each counts who has it, and a process that unmaps
late keeps its page and nothing else. With ``lazy`` the handler of faults hands them out, each with a reference of its
own, when they are first looked at; without it the handler of ``mmap`` inserts them all. The first word of a page is the
number of its frame; readers find the newest by it.
"""

from kmock.linux.errno import EINVAL, ENOMEM, ENOTTY
from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import (
    VM_DONTDUMP,
    VM_DONTEXPAND,
    VM_FAULT_SIGBUS,
    VM_MAYWRITE,
    VM_WRITE,
    get_page,
    page_address,
    vm_map_pages,
    vm_operations_struct,
)
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.moduleparam import module_param
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.string import memset

RING = 4
CAPTURE = 1

MODULE_LICENSE("GPL")

lazy = False
module_param("lazy", bool, 0o444)

ring = []
frames = 0
lock = DEFINE_MUTEX("capture_lock")


def capture_fault(vmf):
    if vmf.pgoff >= RING:
        return VM_FAULT_SIGBUS
    page = ring[vmf.pgoff]
    get_page(page)
    vmf.page = page
    return 0


capture_vm_ops = vm_operations_struct(fault=capture_fault)


def capture_mmap(filp, vma):
    if vma.vm_flags & VM_WRITE:
        return -EINVAL
    vma.vm_flags &= ~VM_MAYWRITE
    if not lazy:
        return vm_map_pages(vma, ring, RING)
    vma.vm_ops = capture_vm_ops
    vma.vm_flags |= VM_DONTEXPAND | VM_DONTDUMP
    return 0


def capture_ioctl(filp, cmd, arg):
    global frames
    if cmd != CAPTURE:
        return -ENOTTY
    mutex_lock(lock)
    frames += 1
    p = page_address(ring[frames % RING])
    memset(p, arg & 0xFF, 4096)
    p.u32[0] = frames
    mutex_unlock(lock)
    return frames


capture = miscdevice(
    name="capture",
    fops=file_operations(owner=THIS_MODULE, mmap=capture_mmap, unlocked_ioctl=capture_ioctl),
)


def ring_free():
    while ring:
        __free_page(ring.pop())


def capture_init():
    for _ in range(RING):
        page = alloc_page(GFP_KERNEL | __GFP_ZERO)
        if not page:
            ring_free()
            return -ENOMEM
        ring.append(page)
    err = misc_register(capture)
    if err:
        ring_free()
    return err


def capture_exit():
    misc_deregister(capture)
    ring_free()


module_init(capture_init)
module_exit(capture_exit)
