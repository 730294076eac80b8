from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    buf = vmalloc(4096)
    vfree(buf)
