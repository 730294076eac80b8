from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    p = vmalloc(100)
    vfree(p)
    p[0] = 1  # here
