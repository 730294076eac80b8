from kmock.linux.gfp import GFP_KERNEL, __get_free_pages, free_page


def program(k):
    buf = __get_free_pages(GFP_KERNEL, 0)
    free_page(buf + 8)  # here
