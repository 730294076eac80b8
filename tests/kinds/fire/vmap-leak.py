from kmock.linux.gfp import GFP_KERNEL, alloc_page
from kmock.linux.vmalloc import vm_map_ram


def program(k):
    v = vm_map_ram([alloc_page(GFP_KERNEL)], 1, -1)  # here
    v[0] = 1
