from kmock.linux.gfp import GFP_ATOMIC, __free_page, alloc_page


def program(k):
    __free_page(alloc_page(GFP_ATOMIC))  # here
