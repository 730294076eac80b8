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
    size = vma.vm_end - vma.vm_start
    pages = SIZE >> PAGE_SHIFT
    if vma.vm_pgoff > pages or size >> PAGE_SHIFT > pages - vma.vm_pgoff:
        return -EINVAL
    pfn = (BAR >> PAGE_SHIFT) + vma.vm_pgoff
    return io_remap_pfn_range(vma, vma.vm_start, pfn, size, vma.vm_page_prot)


def good(k):
    k.mmio(BAR, SIZE)
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    p.mmap(fd, 8192, mmap.PROT_READ, mmap.MAP_SHARED, offset=4096)
    try:
        p.mmap(fd, 8192, mmap.PROT_READ, mmap.MAP_SHARED, offset=(1 << 64) - 4096)
    except OSError as error:
        assert error.errno == EINVAL
    p.exit()
    misc_deregister(misc)
