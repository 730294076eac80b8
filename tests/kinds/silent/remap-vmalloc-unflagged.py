import mmap

from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.vmalloc import remap_vmalloc_range, vfree, vmalloc_user

buffer = []


def dev_mmap(filp, vma):
    return remap_vmalloc_range(vma, buffer[0], 0)


def good(k):
    buffer[:] = [vmalloc_user(4096)]
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    p.mmap(fd, 4096, mmap.PROT_READ, mmap.MAP_SHARED)
    p.exit()
    misc_deregister(misc)
    vfree(buffer[0])
