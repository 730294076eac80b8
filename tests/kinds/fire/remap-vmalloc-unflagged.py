import mmap

from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.vmalloc import remap_vmalloc_range, vfree, vzalloc

buffer = []


def dev_mmap(filp, vma):
    return remap_vmalloc_range(vma, buffer[0], 0)  # here


def program(k):
    buffer[:] = [vzalloc(4096)]
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    try:
        p.mmap(fd, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED)
    except OSError as error:
        assert error.errno == 22
    p.exit()
    misc_deregister(misc)
    vfree(buffer[0])
