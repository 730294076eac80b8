from kmock.linux.vmalloc import alloc_vm_area, free_vm_area


def good(k):
    area = alloc_vm_area(8192)
    free_vm_area(area)
