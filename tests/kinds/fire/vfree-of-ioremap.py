from kmock.linux.vmalloc import alloc_vm_area, vfree


def program(k):
    area = alloc_vm_area(8192)
    vfree(area.addr)  # here
