import mmap

from kmock.linux.fs import file_operations
from kmock.linux.io import ioremap, iounmap
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import pgprot_writecombine, vm_iomap_memory

BAR = 0xF000_0000


def dev_mmap(filp, vma):
    vma.vm_page_prot = pgprot_writecombine(vma.vm_page_prot)
    return vm_iomap_memory(vma, BAR, 4096)  # here


def program(k):
    k.mmio(BAR, 4096)
    regs = ioremap(BAR, 4096)
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    p.mmap(fd, 4096, mmap.PROT_READ, mmap.MAP_SHARED)
    p.exit()
    misc_deregister(misc)
    iounmap(regs)
