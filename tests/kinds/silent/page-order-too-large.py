from kmock.linux.gfp import __GFP_NOWARN, GFP_KERNEL, __free_pages, alloc_pages
from kmock.linux.mmzone import MAX_ORDER


def good(k):
    assert not alloc_pages(GFP_KERNEL | __GFP_NOWARN, MAX_ORDER)
    page = alloc_pages(GFP_KERNEL, MAX_ORDER - 1)
    __free_pages(page, MAX_ORDER - 1)
