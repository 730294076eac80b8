from kmock.linux.gfp import GFP_KERNEL, __free_page, __get_free_page, alloc_page, free_page

BOOT = {"cmdline": "page_poison=1"}


def good(k):
    buf = __get_free_page(GFP_KERNEL)
    k.ram.bytes[int(buf) - k.layout.page_offset] = 1
    free_page(buf)
    __free_page(alloc_page(GFP_KERNEL))
