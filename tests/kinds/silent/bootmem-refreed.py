from kmock.linux.bootmem import init_bootmem, max_low_pfn, reserve_bootmem
from kmock.linux.mm import free_bootmem_with_active_regions
from kmock.linux.nodemask import MAX_NUMNODES


def good(k):
    with k.early_boot():
        init_bootmem(256, max_low_pfn())
        free_bootmem_with_active_regions(MAX_NUMNODES, max_low_pfn())
        reserve_bootmem(0x100_0000, 0x40_0000)
