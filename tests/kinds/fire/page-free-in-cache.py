from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page


def program(k):
    page = alloc_page(GFP_KERNEL)
    page.mapping = object()  # what add_to_page_cache() does
    __free_page(page)  # here
