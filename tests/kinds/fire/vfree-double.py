from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    p = vmalloc(10000)
    vfree(p)
    vfree(p)  # here
