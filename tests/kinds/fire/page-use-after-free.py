from kmock.linux.gfp import GFP_KERNEL, __get_free_page, free_page


def program(k):
    buf = __get_free_page(GFP_KERNEL)
    buf[0] = 1
    free_page(buf)
    return buf[0]  # here
