"""The length of the mapping is the process' choice alone.

Wrong: ``panel_mmap`` maps as much as the area is long, whatever the driver has: what lies behind is somebody else's.
Right: hold ``vm_pgoff`` and the length against the size of the buffer, or insert the pages with ``vm_map_pages``.
Expected: ``mmap-size-unchecked``, at the ``remap_pfn_range`` in ``panel_mmap``.
"""

from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import page_to_pfn, remap_pfn_range
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init

MODULE_LICENSE("GPL")

buffer = None


def panel_mmap(filp, vma):
    size = vma.vm_end - vma.vm_start
    return remap_pfn_range(vma, vma.vm_start, page_to_pfn(buffer), size, vma.vm_page_prot)


panel = miscdevice(name="panel", fops=file_operations(owner=THIS_MODULE, mmap=panel_mmap))


def panel_init():
    global buffer
    buffer = alloc_page(GFP_KERNEL | __GFP_ZERO)
    if not buffer:
        return -ENOMEM
    err = misc_register(panel)
    if err:
        __free_page(buffer)
    return err


def panel_exit():
    misc_deregister(panel)
    __free_page(buffer)


module_init(panel_init)
module_exit(panel_exit)
