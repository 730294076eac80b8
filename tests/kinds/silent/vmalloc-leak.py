from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    vfree(vmalloc(100))
