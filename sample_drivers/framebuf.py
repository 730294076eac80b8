"""framebuf: memory of a device, and reserved RAM, shown to processes.

The C idiom: the offset of ``mmap`` says what is meant. From 0 on it is the device's memory, mapped write-combining as the
driver itself maps it; from ``SHADOW`` on it is a copy in RAM whose pages the driver has set aside with ``SetPageReserved``
and keeps until it goes. ``vm_iomap_memory`` looks at offset and length itself; ``remap_pfn_range`` looks at nothing, so
the driver does. Both hold the module for as long as a process has the memory: the area holds the file, and the file the
module.
"""

from kmock.linux.errno import EBUSY, EINVAL, ENOMEM, ENOTTY
from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, alloc_pages, free_pages
from kmock.linux.io import ioremap_wc, iounmap, memcpy_toio
from kmock.linux.ioport import release_mem_region, request_mem_region
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import (
    PAGE_SHIFT,
    PAGE_SIZE,
    ClearPageReserved,
    SetPageReserved,
    page_address,
    page_to_pfn,
    pgprot_writecombine,
    remap_pfn_range,
    vm_iomap_memory,
)
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init

BASE = 0xF800_0000
SIZE = 4 * PAGE_SIZE
ORDER = 2
SHADOW = 1 << 20
FLUSH = 1

MODULE_LICENSE("GPL")

screen = None
shadow = None


def map_shadow(vma):
    first = vma.vm_pgoff - (SHADOW >> PAGE_SHIFT)
    pages = (vma.vm_end - vma.vm_start) >> PAGE_SHIFT
    if first >= 1 << ORDER or pages > (1 << ORDER) - first:
        return -EINVAL
    pfn = page_to_pfn(shadow) + first
    return remap_pfn_range(vma, vma.vm_start, pfn, pages << PAGE_SHIFT, vma.vm_page_prot)


def framebuf_mmap(filp, vma):
    if vma.vm_pgoff >= SHADOW >> PAGE_SHIFT:
        return map_shadow(vma)
    vma.vm_page_prot = pgprot_writecombine(vma.vm_page_prot)
    return vm_iomap_memory(vma, BASE, SIZE)


def framebuf_ioctl(filp, cmd, arg):
    if cmd != FLUSH:
        return -ENOTTY
    memcpy_toio(screen, page_address(shadow), SIZE)
    return 0


framebuf = miscdevice(
    name="framebuf",
    fops=file_operations(owner=THIS_MODULE, mmap=framebuf_mmap, unlocked_ioctl=framebuf_ioctl),
)


def shadow_alloc():
    global shadow
    shadow = alloc_pages(GFP_KERNEL | __GFP_ZERO, ORDER)
    if not shadow:
        return -ENOMEM
    for i in range(1 << ORDER):
        SetPageReserved(shadow + i)
    return 0


def shadow_free():
    for i in range(1 << ORDER):
        ClearPageReserved(shadow + i)
    free_pages(page_address(shadow), ORDER)


def framebuf_init():
    global screen
    if not request_mem_region(BASE, SIZE, "framebuf"):
        return -EBUSY
    err = -ENOMEM
    screen = ioremap_wc(BASE, SIZE)
    if screen:
        err = shadow_alloc()
        if not err:
            err = misc_register(framebuf)
            if not err:
                return 0
            shadow_free()
        iounmap(screen)
    release_mem_region(BASE, SIZE)
    return err


def framebuf_exit():
    misc_deregister(framebuf)
    shadow_free()
    iounmap(screen)
    release_mem_region(BASE, SIZE)


module_init(framebuf_init)
module_exit(framebuf_exit)
