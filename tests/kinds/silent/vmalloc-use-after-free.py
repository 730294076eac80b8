from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    p = vmalloc(100)
    p[0] = 1
    vfree(p)
