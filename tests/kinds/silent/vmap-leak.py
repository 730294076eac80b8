from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.vmalloc import vm_map_ram, vm_unmap_ram


def good(k):
    page = alloc_page(GFP_KERNEL)
    v = vm_map_ram([page], 1, -1)
    v[0] = 1
    vm_unmap_ram(v, 1)
    __free_page(page)
