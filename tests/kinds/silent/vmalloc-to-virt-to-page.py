from kmock.linux.mm import vmalloc_to_page
from kmock.linux.vmalloc import vfree, vmalloc


def good(k):
    buf = vmalloc(4096)
    vmalloc_to_page(buf)
    vfree(buf)
