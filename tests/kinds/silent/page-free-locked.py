from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.page_flags import PG_locked


def good(k):
    page = alloc_page(GFP_KERNEL)
    page.set(PG_locked)
    page.clear(PG_locked)
    __free_page(page)
