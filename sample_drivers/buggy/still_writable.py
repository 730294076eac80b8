"""A mapping that is to be read-only can be made writable.

Wrong: ``calib_mmap`` refuses ``VM_WRITE`` and leaves ``VM_MAYWRITE``: ``mprotect`` does the rest.
Right: ``vma.vm_flags &= ~VM_MAYWRITE`` as well.
Expected: ``mmap-write-allowed``, at the test of ``VM_WRITE`` in ``calib_mmap``.
"""

from kmock.linux.errno import ENOMEM, EPERM
from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import VM_WRITE, vm_map_pages
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init

MODULE_LICENSE("GPL")

table = None


def calib_mmap(filp, vma):
    if vma.vm_flags & VM_WRITE:
        return -EPERM
    return vm_map_pages(vma, [table], 1)


calib = miscdevice(name="calib", fops=file_operations(owner=THIS_MODULE, mmap=calib_mmap))


def calib_init():
    global table
    table = alloc_page(GFP_KERNEL | __GFP_ZERO)
    if not table:
        return -ENOMEM
    err = misc_register(calib)
    if err:
        __free_page(table)
    return err


def calib_exit():
    misc_deregister(calib)
    __free_page(table)


module_init(calib_init)
module_exit(calib_exit)
