import mmap

from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import virt_to_page, vm_insert_page
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc

buffer = []


def dev_mmap(filp, vma):
    return vm_insert_page(vma, vma.vm_start, virt_to_page(buffer[0]))  # here


def program(k):
    buffer[:] = [kzalloc(4096, GFP_KERNEL)]
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
    kfree(buffer[0])
