from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page


def program(k):
    page = alloc_page(GFP_KERNEL)
    page._mapcount += 1  # what vm_insert_page() does
    __free_page(page)  # here
