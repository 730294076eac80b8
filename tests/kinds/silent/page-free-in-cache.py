from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page


def good(k):
    page = alloc_page(GFP_KERNEL)
    page.mapping = object()
    page.mapping = None
    __free_page(page)
