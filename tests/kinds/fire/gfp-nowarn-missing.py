from kmock.linux.gfp import GFP_KERNEL, __free_pages, alloc_pages

BOOT = {"machine": "tiny"}


def program(k):
    blocks = []
    while block := alloc_pages(GFP_KERNEL, 8):  # here
        blocks.append(block)
    for block in blocks:
        __free_pages(block, 8)
