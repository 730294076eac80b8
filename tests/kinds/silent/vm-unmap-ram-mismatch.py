from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.vmalloc import vm_map_ram, vm_unmap_ram


def good(k):
    pages = [alloc_page(GFP_KERNEL) for _ in range(3)]
    v = vm_map_ram(pages, 3, -1)
    vm_unmap_ram(v, len(pages))
    for page in pages:
        __free_page(page)
