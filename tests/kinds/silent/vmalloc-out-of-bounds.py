from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    p = vmalloc(100)
    p[99] = 1
    vfree(p)
