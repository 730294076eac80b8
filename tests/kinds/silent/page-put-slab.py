from kmock.linux.gfp import GFP_KERNEL, __get_free_page, free_page
from kmock.linux.mm import get_page, put_page, virt_to_page


def good(k):
    buf = __get_free_page(GFP_KERNEL)
    get_page(virt_to_page(buf))
    put_page(virt_to_page(buf))
    free_page(buf)
