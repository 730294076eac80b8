from kmock.linux.io import iounmap
from kmock.linux.vmalloc import vmalloc


def program(k):
    buf = vmalloc(4096)
    iounmap(buf)  # here
