import mmap

from kmock.linux.errno import EINVAL
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import PAGE_SHIFT, io_remap_pfn_range

# From 4.17 on mmap() itself refuses such offsets.
BOOT = {"version": "3.18"}
BAR = 0xF000_0000
SIZE = 0x4000


def dev_mmap(filp, vma):
    offset = vma.vm_pgoff << PAGE_SHIFT
    size = vma.vm_end - vma.vm_start
    if (offset + size) & 0xFFFF_FFFF_FFFF_FFFF > SIZE:
        return -EINVAL
    pfn = ((BAR + offset) & 0xFFFF_FFFF_FFFF_FFFF) >> PAGE_SHIFT
    return io_remap_pfn_range(vma, vma.vm_start, pfn, size, vma.vm_page_prot)  # here


def program(k):
    k.mmio(BAR, SIZE)
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    try:
        p.mmap(fd, 8192, mmap.PROT_READ, mmap.MAP_SHARED, offset=(1 << 64) - 4096)
    except OSError as error:
        assert error.errno == EINVAL
    p.exit()
    misc_deregister(misc)
