from kmock.linux.page import pfn_to_page
from kmock.linux.pageblock_flags import get_pfnblock_flags_mask, set_pfnblock_flags_mask


def good(k):
    page = pfn_to_page(0x1000)
    set_pfnblock_flags_mask(page, 1, 0x1001, 7)
    assert get_pfnblock_flags_mask(page, 0x1000, 7) == 1
