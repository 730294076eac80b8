from kmock.linux.gfp import GFP_KERNEL, free_page, get_zeroed_page


def program(k):
    table = get_zeroed_page(GFP_KERNEL)
    free_page(table)
