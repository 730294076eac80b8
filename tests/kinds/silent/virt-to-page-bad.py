from kmock.linux.gfp import GFP_KERNEL, __free_page, __get_free_page
from kmock.linux.mm import virt_to_page


def good(k):
    __free_page(virt_to_page(__get_free_page(GFP_KERNEL) + 100))
