"""A buffer is freed while processes still see it.

Wrong: ``ring_ioctl`` gives the old buffer back when it makes a new one; ``remap_pfn_range`` took no reference to it.
Right: show pages with ``vm_insert_page``, or take the old mapping away first with ``unmap_mapping_range``.
Expected: ``remap-ram-then-free``, at the ``__free_page`` in ``ring_ioctl``.
"""

from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import PAGE_SIZE, page_to_pfn, remap_pfn_range
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init

MODULE_LICENSE("GPL")

buffer = None


def ring_mmap(filp, vma):
    return remap_pfn_range(vma, vma.vm_start, page_to_pfn(buffer), PAGE_SIZE, vma.vm_page_prot)


def ring_ioctl(filp, cmd, arg):
    global buffer
    fresh = alloc_page(GFP_KERNEL | __GFP_ZERO)
    if not fresh:
        return -ENOMEM
    __free_page(buffer)
    buffer = fresh
    return 0


ring = miscdevice(name="ring", fops=file_operations(owner=THIS_MODULE, mmap=ring_mmap, unlocked_ioctl=ring_ioctl))


def ring_init():
    global buffer
    buffer = alloc_page(GFP_KERNEL | __GFP_ZERO)
    if not buffer:
        return -ENOMEM
    err = misc_register(ring)
    if err:
        __free_page(buffer)
    return err


def ring_exit():
    misc_deregister(ring)
    __free_page(buffer)


module_init(ring_init)
module_exit(ring_exit)
