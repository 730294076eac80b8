from kmock.linux.vmalloc import vmalloc, vunmap


def program(k):
    p = vmalloc(10000)
    vunmap(p)  # here
