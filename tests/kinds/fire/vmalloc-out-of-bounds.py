from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    p = vmalloc(100)
    p[100] = 1  # here
    vfree(p)
