from kmock.linux.gfp import __GFP_DIRECT_RECLAIM, GFP_ATOMIC, __free_page, alloc_page


def program(k):
    __free_page(alloc_page(GFP_ATOMIC | __GFP_DIRECT_RECLAIM))  # here
