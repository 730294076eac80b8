import mmap

from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO as GFP_ZERO
from kmock.linux.gfp import GFP_KERNEL, alloc_page
from kmock.linux.gfp import __free_page as free_one_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import VM_FAULT_OOM, VM_FAULT_SIGBUS, get_page, vm_operations_struct

state = {}


def dev_fault(vmf):
    if vmf.pgoff > 1:
        return VM_FAULT_SIGBUS
    if vmf.pgoff == 1:
        # A page of the process' own: its one reference goes along.
        vmf.page = alloc_page(GFP_KERNEL | GFP_ZERO)
        return 0 if vmf.page else VM_FAULT_OOM
    get_page(state["page"])
    vmf.page = state["page"]
    return 0


def dev_mmap(filp, vma):
    vma.vm_ops = vm_operations_struct(fault=dev_fault)
    return 0


def program(k):
    state["page"] = alloc_page(GFP_KERNEL | GFP_ZERO)
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    for _ in range(2):
        p.load(p.mmap(fd, 8192, mmap.PROT_READ, mmap.MAP_SHARED), 8192)
    p.exit()
    free_one_page(state["page"])
    misc_deregister(misc)
