from kmock.linux.mm import get_page, virt_to_page
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    buf = kmalloc(64, GFP_KERNEL)
    get_page(virt_to_page(buf))  # here
    kfree(buf)
