from kmock.linux.gfp import GFP_KERNEL, alloc_pages
from kmock.linux.mmzone import MAX_ORDER


def program(k):
    assert not alloc_pages(GFP_KERNEL, MAX_ORDER)  # here
