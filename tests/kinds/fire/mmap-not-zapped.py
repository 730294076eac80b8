import mmap

from kmock.linux.fs import file_operations
from kmock.linux.ioport import release_mem_region, request_mem_region
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import vm_iomap_memory

BAR = 0xF000_0000


def dev_mmap(filp, vma):
    return vm_iomap_memory(vma, BAR, 4096)


def program(k):
    k.mmio(BAR, 4096)
    assert request_mem_region(BAR, 4096, "dev")
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    address = p.mmap(fd, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED)
    release_mem_region(BAR, 4096)  # here
    p.munmap(address, 4096)
    p.exit()
    misc_deregister(misc)
