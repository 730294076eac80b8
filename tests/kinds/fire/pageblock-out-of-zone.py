from kmock.linux.page import pfn_to_page
from kmock.linux.pageblock_flags import set_pfnblock_flags_mask


def program(k):
    page = pfn_to_page(0x1000)
    set_pfnblock_flags_mask(page, 1, 0x100, 7)  # here
