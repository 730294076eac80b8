from kmock.linux.gfp import __GFP_NOWARN, GFP_KERNEL, __free_pages, alloc_pages

BOOT = {"machine": "tiny"}


def good(k):
    blocks = []
    while block := alloc_pages(GFP_KERNEL | __GFP_NOWARN, 8):
        blocks.append(block)
    for block in blocks:
        __free_pages(block, 8)
