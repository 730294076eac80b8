from kmock.linux.vmalloc import vfree, vmalloc


def good(k):
    p = vmalloc(10000)
    vfree(p)
