import mmap

from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO as GFP_ZERO
from kmock.linux.gfp import GFP_KERNEL, alloc_page
from kmock.linux.gfp import __free_page as free_one_page
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.mm import vm_operations_struct

state = {}


def dev_fault(vmf):
    vmf.page = state["page"]
    return 0  # here


def dev_mmap(filp, vma):
    vma.vm_ops = vm_operations_struct(fault=dev_fault)
    return 0


def program(k):
    state["page"] = alloc_page(GFP_KERNEL | GFP_ZERO)
    misc_register(miscdevice(name="dev", fops=file_operations(mmap=dev_mmap)))
    p = k.user()
    fd = p.open("/dev/dev")
    for _ in range(2):
        p.load(p.mmap(fd, 4096, mmap.PROT_READ, mmap.MAP_SHARED), 1)
    p.exit()
    free_one_page(state["page"])
