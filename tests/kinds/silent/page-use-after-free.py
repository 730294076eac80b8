from kmock.linux.gfp import GFP_KERNEL, __get_free_page, free_page


def good(k):
    buf = __get_free_page(GFP_KERNEL)
    buf[0] = 1
    value = buf[0]
    free_page(buf)
    return value
