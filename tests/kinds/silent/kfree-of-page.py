from kmock.linux.gfp import GFP_KERNEL, __get_free_page, free_page


def program(k):
    p = __get_free_page(GFP_KERNEL)
    free_page(p)
