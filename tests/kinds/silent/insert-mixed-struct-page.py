import mmap

from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import VM_FAULT_NOPAGE, VM_MIXEDMAP, vm_insert_page, vm_operations_struct

page = []


def dev_fault(vmf):
    vm_insert_page(vmf.vma, vmf.address, page[0])
    return VM_FAULT_NOPAGE


def dev_mmap(filp, vma):
    vma.vm_ops = vm_operations_struct(fault=dev_fault)
    vma.vm_flags |= VM_MIXEDMAP
    return 0


def good(k):
    page[:] = [alloc_page(GFP_KERNEL | __GFP_ZERO)]
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    address = p.mmap(fd, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED)
    p.load(address, 1)
    p.exit()
    misc_deregister(misc)
    __free_page(page[0])
