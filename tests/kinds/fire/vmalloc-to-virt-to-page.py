from kmock.linux.mm import virt_to_page
from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    buf = vmalloc(4096)
    virt_to_page(buf)  # here
    vfree(buf)
