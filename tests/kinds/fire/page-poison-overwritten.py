from kmock.linux.gfp import GFP_KERNEL, __free_page, __get_free_page, alloc_page, free_page

BOOT = {"cmdline": "page_poison=1"}


def program(k):
    buf = __get_free_page(GFP_KERNEL)
    free_page(buf)
    k.ram.bytes[buf - k.layout.page_offset] = 1  # a device that still writes there
    __free_page(alloc_page(GFP_KERNEL))  # here
