from kmock.linux.gfp import GFP_KERNEL, __get_free_page, free_page


def program(k):
    first = __get_free_page(GFP_KERNEL)
    second = __get_free_page(GFP_KERNEL)
    first[4096] = 1  # here
    free_page(second)
    free_page(first)
